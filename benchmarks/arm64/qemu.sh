#!/bin/sh
# qemu.sh → build/arm64/qemu: qemu-user for aarch64 from Debian's source, with the counting plugin.
# Debian's own qemu is built without plugins. About six minutes on two cores.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/arm64/debian.sh
. tests/arm64/debian.sh
here=$PWD/benchmarks/arm64
folder=$PWD/build/arm64/qemu
release=trixie

set --
for tool in gcc:gcc make:make pkg-config:pkg-config xz:xz-utils \
	aarch64-linux-gnu-gcc:gcc-aarch64-linux-gnu; do
	command -v "${tool%%:*}" >/dev/null || set -- "$@" "${tool#*:}"
done
pkg-config --exists glib-2.0 2>/dev/null || set -- "$@" libglib2.0-dev
python3 -c 'import ensurepip' 2>/dev/null || set -- "$@" python3-venv
install_missing "$@"
mirror=$(mirror)

rm -rf "$folder"
mkdir -p "$folder/apt/lists/partial" "$folder/source"
cd "$folder"
touch apt/installed
echo "deb-src [signed-by=$keys] $mirror $release main" > apt/sources.list
cat > apt/apt.conf <<END
APT::Sandbox::User "root";
Acquire::Languages "none";
Dir::State "$PWD/apt";
Dir::State::status "$PWD/apt/installed";
Dir::Cache "$PWD/apt";
Dir::Etc::SourceList "$PWD/apt/sources.list";
Dir::Etc::SourceParts "-";
END
APT_CONFIG=$PWD/apt/apt.conf apt-get update -qq
APT_CONFIG=$PWD/apt/apt.conf apt-get source -qq --download-only qemu
tar xf qemu_*.orig.tar.xz -C source --strip-components=1

python3 -m venv venv # what Debian's source leaves out, and build tools of a known version
venv/bin/pip install --quiet --disable-pip-version-check meson==1.9.1 ninja tomli pycotap==1.3.1
mkdir source/build
cd source/build
PATH=$folder/venv/bin:$PATH ../configure --python="$folder/venv/bin/python3" \
	--target-list=aarch64-linux-user --enable-plugins --disable-system --disable-tools \
	--disable-docs --disable-werror --disable-guest-agent --disable-capstone --disable-gnutls \
	--disable-install-blobs >/dev/null
"$folder/venv/bin/ninja" --quiet qemu-aarch64
cd "$folder"
mv source/build/qemu-aarch64 .
# shellcheck disable=SC2046  # several words are several flags
gcc -shared -fPIC -O2 -Isource/include/qemu -Isource/include $(pkg-config --cflags glib-2.0) \
	"$here/count.c" -o libcount.so
rm -r apt source venv qemu_*
