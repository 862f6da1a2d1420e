#!/usr/bin/env bash
# The adapter for the Pi's camera, with picamera2 and libcamera themselves and libcamera's virtual
# camera, in a Debian trixie that debootstrap makes below build/. As root; needs the network once.
set -euo pipefail
cd "$(dirname "$0")/../../.."
here=tests/cameras/real_picamera2
work=$PWD/build/real_picamera2
root=$work/root

if ((EUID)) || ! unshare --mount --pid --net --fork true 2>/dev/null; then
	echo 'test-picamera2: not run: it needs root and namespaces' >&2
	exit 1
fi
if ! command -v debootstrap >/dev/null; then
	echo 'test-picamera2: not run: sudo apt install debootstrap' >&2
	exit 1
fi

# libcamera from backports: trixie's own 0.4 never says that a virtual frame is a good one.
# No IPA, encoders or previews: what picamera2 imports and does not use is in stand_ins/.
if [ ! -e "$work/ready" ] || [ "$here/run.sh" -nt "$work/ready" ]; then
	echo 'making a Debian trixie with libcamera (a minute or two) …' >&2
	rm -rf "$work"
	mkdir -p "$work"
	mirror=${MIRROR:-http://deb.debian.org/debian}
	{
		timeout 600 debootstrap --variant=minbase trixie "$root" "$mirror" &&
			echo "deb $mirror trixie-backports main" >>"$root/etc/apt/sources.list" &&
			timeout 300 chroot "$root" /usr/bin/env DEBIAN_FRONTEND=noninteractive sh -ec "
				apt-get update
				apt-get install -y --no-install-recommends \
					python3-libcamera/trixie-backports python3-numpy python3-pil python3-pytest
				apt-get clean"
	} >"$work/log" 2>&1 || {
		tail -n 5 "$work/log" >&2
		exit 1
	}
	timeout 300 .venv-test/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
		--python-version 3.13 --only-binary=:all: --target "$root/opt/site" \
		"$(grep -o '^opencv-python-headless==[^ ;]*' constraints.txt)" \
		picamera2==0.3.38 piexif==1.1.3 simplejpeg==1.9.0 videodev2==0.0.4
	mkdir "$root/project"
	touch "$work/ready"
fi

# All mounts are in a namespace that ends with the command, or after two minutes; no network there.
# shellcheck disable=SC2016 # expanded in the inner shell
exec timeout --kill-after=5 120 unshare --mount --pid --net --fork --kill-child sh -euc '
	root=$1 here=$2
	mount -t proc proc "$root/proc"
	mount -t tmpfs tmpfs "$root/tmp"
	mount -t tmpfs tmpfs "$root/dev"
	mknod -m 666 "$root/dev/null" c 1 3
	mknod -m 666 "$root/dev/urandom" c 1 9
	mkdir -p "$root/usr/share/libcamera/pipeline/virtual"
	cp "$here/virtual.yaml" "$root/usr/share/libcamera/pipeline/virtual/"
	mount --bind . "$root/project"
	mount -o remount,ro,bind "$root/project"
	shift 2
	exec chroot "$root" /usr/bin/env -i PATH=/usr/bin:/bin HOME=/tmp PYTHONDONTWRITEBYTECODE=1 \
		PYTHONPATH="/project:/project/$here/stand_ins:/opt/site" \
		python3 -m pytest -q -p no:cacheprovider -c /dev/null --rootdir /tmp --noconftest \
		"/project/$here/check.py" "$@"
' sh "$root" "$here" "$@"
