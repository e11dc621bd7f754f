#!/bin/sh
# Measure everything and put the tables into README.md: bench/run_all.sh WORK [AMICTL [BORG]]
# WORK is a folder on a file system with 40 GB free; run it as root on a machine that does nothing else.
set -eu
bench=$(dirname "$0")
work=${1:?usage: run_all.sh WORK [AMICTL [BORG]]}
amictl=${2:-amictl}
borg=${3:-}

python3 "$bench/make_series.py" "$work/series"
python3 "$bench/run.py" --series "$work/series" --work "$work" --amictl "$amictl" \
    ${borg:+--borg "$borg"} --update-readme
for part in memory sparse startup catalogue archives collecting; do
    python3 "$bench/$part.py" --work "$work" --amictl "$amictl" --update-readme
done
"$(dirname "$(command -v "$amictl")")/python" "$bench/copying.py" --work "$work" \
    --amictl "$amictl" --update-readme
