# For the Astro CLI alone; docker-compose.yaml builds its own image. By what its base image does when it is built
# upon, packages.txt and requirements.txt are installed and this directory is copied in.
FROM astrocrpublic.azurecr.io/runtime:3.3-8
