# For the Astro CLI alone; docker-compose.yaml builds its own image. Runtime 3.3-8 is Airflow 3.3.2. Its default
# Python, 3.14, is newer than this package knows. The images without "-base" install requirements.txt unasked, and
# refuse to when it names Airflow, which they bring.
FROM astrocrpublic.azurecr.io/runtime:3.3-8-python-3.12-base
USER root
COPY packages.txt requirements.txt ./
RUN sed --in-place '/^apache-airflow==/d' requirements.txt \
    && /usr/local/bin/install-system-packages \
    && /usr/local/bin/install-python-dependencies
USER astro
# The image has this directory, and thereby `include`, on its PYTHONPATH.
COPY --chown=astro:0 . .
