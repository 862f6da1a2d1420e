#!/bin/sh
# build.sh [aarch64|x86_64|…]: compiles the kernels for this machine, or another by a cross-compiler
# (Debian: gcc-aarch64-linux-gnu). Where there is none, one line; all goes on in numpy.
set -eu
cd "$(dirname "$0")"
here=$(uname -m)
machine=${1:-$here}
compiler=$machine-linux-gnu-gcc
[ "$machine" != "$here" ] || compiler=${CC:-cc}
command -v "$compiler" >/dev/null || {
	echo "no $compiler: on $machine crops and kernels will take more time, in numpy" >&2
	exit 0
}
# No mathematics that depends on the order of operations is allowed to change: no -ffast-math.
"$compiler" -std=gnu99 -Wall -Wextra -O3 -fno-trapping-math -ffreestanding -nostdlib \
	-shared -fPIC kernels.c -o "kernels-$machine.part" -lgcc
mv "kernels-$machine.part" "kernels-$machine.so"
