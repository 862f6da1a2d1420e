#!/bin/sh
# Pins what `make` installs: one constraints.txt for Python 3.11 to 3.13, x86-64 and Arm.
set -eu
cd "$(dirname "$0")/.."
temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT
# What may not move, and why: numpy below 2 for mediapipe and Bookworm's picamera2; ml-dtypes at
# the versions without 25 MB of debug symbols; OpenCV at one version everywhere;
# backports-strenum at the last that installs on 3.11 (uv does not see its upper bound).
cat > "$temporary/fixed.txt" <<'EOF'
numpy==1.26.4; python_version < '3.13'
numpy==2.2.6; python_version >= '3.13'
ml-dtypes==0.4.1; python_version < '3.13'
ml-dtypes==0.6.0; python_version >= '3.13'
opencv-python-headless==4.11.0.86
setuptools==80.9.0
backports-strenum==1.2.8
EOF
# mediapipe's face mesh needs none of these.
for name in opencv-contrib-python jax jaxlib sounddevice sentencepiece; do
	echo "$name; sys_platform == 'never'"
done > "$temporary/without.txt"
.venv-test/bin/python -m pip install --quiet uv
.venv-test/bin/python -m uv pip compile --quiet --universal --python-version 3.11 --all-extras \
	--no-annotate --no-header --constraint "$temporary/fixed.txt" \
	--override "$temporary/without.txt" pyproject.toml --output-file "$temporary/lock.txt"
# shellcheck disable=SC2016  # they are no commands here
{
	echo '# What `make` installs: the exact versions that were tested, for Python 3.11 to 3.13 on'
	echo '# x86-64 and Arm. Made by `make lock`; convert/lock.sh says what is held back and why.'
	grep -Ev "'never'|win32|darwin" "$temporary/lock.txt"
} > constraints.txt
