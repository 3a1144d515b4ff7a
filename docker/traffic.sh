#!/usr/bin/env bash
# Four months of a made-up city, sent through the API one after the other and each published at its end. From the
# second one on everybody drives a quarter slower, which the pipeline has to notice and to answer.
set -euo pipefail
autoops sample --seed 42 --months 2023-04..2023-07 --scenario speed --changes-from 2023-05 --output /tmp/months
exec autoops replay --source /tmp/months --months 2023-04..2023-07 --sample 4000 --rate 40 \
  --url http://gateway:8000 --publish-to /published
