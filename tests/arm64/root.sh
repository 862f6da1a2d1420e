#!/bin/sh
# root.sh 3.11|3.13 → build/arm64/VERSION: Debian's Python for arm64 and what `make edge` installs
# on a Pi, for qemu-user. No chroot, and no package database of this machine is touched.
# build/arm64/VERSION/python then is a Pi's Python that sees this machine's files.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/arm64/debian.sh
. tests/arm64/debian.sh
version=$1
case $version in # the Debian release with this Python, the processor of a Pi of its day
3.11) release=bookworm cpu=cortex-a72 part=0xd08 ;; # Pi 4
3.13) release=trixie cpu=cortex-a76 part=0xd0b ;;   # Pi 5
*) echo "root.sh: 3.11 or 3.13, not $version" >&2 && exit 2 ;;
esac
root=$PWD/build/arm64/$version

set --
command -v qemu-aarch64-static >/dev/null || set -- qemu-user-static
install_missing "$@"
mirror=$(mirror)

rm -rf "$root"
mkdir -p "$root/apt/lists/partial" "$root/apt/archives/partial"
cd "$root/apt"
touch installed # nothing yet: all that Python depends on comes too
echo "deb [signed-by=$keys] $mirror $release main" > sources.list
cat > apt.conf <<END
APT { Architecture "arm64"; Architectures { "arm64"; }; Sandbox::User "root"; };
Acquire::Languages "none";
Dir::State "$PWD";
Dir::State::status "$PWD/installed";
Dir::Cache "$PWD";
Dir::Etc::SourceList "$PWD/sources.list";
Dir::Etc::SourceParts "-";
END
(
	export APT_CONFIG="$PWD/apt.conf"
	apt-get update -qq
	apt-get install -y -qq --no-install-recommends --download-only \
		"python$version" python3-pip-whl libstdc++6 >/dev/null
)
for package in archives/*.deb; do dpkg-deb -x "$package" "$root"; done
cd "$root"
rm -r apt
[ -e lib ] || ln -s usr/lib lib # in trixie base-files brings this link

# LiteRT asks these files what it runs on, and crashes where they contradict each other. One core:
# newer qemu answer for /proc/cpuinfo themselves, with as many as this machine has.
cpus=sys/devices/system/cpu
mkdir -p proc $cpus
printf 'processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: %s\n' "$part" > proc/cpuinfo
for set in possible present online; do echo 0 > $cpus/$set; done

cat > python <<END
#!/bin/sh
exec qemu-aarch64-static -cpu $cpu -L "$root" \\
	-E PYTHONPATH="$root/site\${PYTHONPATH:+:\$PYTHONPATH}" "$root/usr/bin/python$version" "\$@"
END
chmod +x python

# The Pi's own pip, so that wheels and environment markers are chosen as on a Pi; pip elsewhere
# judges markers by the machine it runs on.
cd ../../..
"$root/python" > "$root/requirements.txt" -c '
import tomllib
with open("pyproject.toml", "rb") as file:
    extras = tomllib.load(file)["project"]["optional-dependencies"]
    print(*extras["edge"], *extras["opencv"], sep="\n")'
PYTHONPATH=$(echo "$root"/usr/share/python-wheels/pip-*.whl) "$root/python" -m pip install \
	--quiet --disable-pip-version-check --root-user-action=ignore --no-compile --only-binary=:all: \
	--constraint constraints.txt --requirement "$root/requirements.txt" --target "$root/site"
