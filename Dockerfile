# For the Astro CLI alone: docker-compose.yaml builds its own image. Runtime 3.3-8 is Airflow 3.3.2. Its default
# Python, 3.14, is too new for this package. The images without "-base" install requirements.txt by themselves, and
# they refuse a requirements.txt that names Airflow, because they bring it.
FROM astrocrpublic.azurecr.io/runtime:3.3-8-python-3.12-base
USER root
COPY packages.txt requirements.txt ./
RUN sed --in-place '/^apache-airflow==/d' requirements.txt \
    && /usr/local/bin/install-system-packages \
    && /usr/local/bin/install-python-dependencies
USER astro
# The image has this directory on its PYTHONPATH, so `include` can be imported.
COPY --chown=astro:0 dags ./dags
COPY --chown=astro:0 plugins ./plugins
COPY --chown=astro:0 include/__init__.py ./include/__init__.py
COPY --chown=astro:0 include/social_analytics ./include/social_analytics
