# shellcheck shell=sh
# Sourced where packages of another Debian release are taken: what that needs of this machine.

keys=/usr/share/keyrings/debian-archive-keyring.gpg

# Installs the packages that it is given, and Debian's keys where they lack; who may not is told.
install_missing() {
	[ -e "$keys" ] || set -- "$@" debian-archive-keyring
	[ $# -gt 0 ] || return 0
	[ "$(id -u)" = 0 ] || { echo "missing; run: sudo apt install $*" >&2 && exit 1; }
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# The mirror that this machine uses; to be asked before apt is turned to files of its own.
mirror() (
	# shellcheck source=/dev/null
	. /etc/os-release
	found=
	# shellcheck disable=SC2016  # it is apt's variable
	[ "$ID" != debian ] ||
		found=$(apt-get indextargets --format '$(REPO_URI)' "Release: $VERSION_CODENAME" | head -n 1)
	echo "${found:-http://deb.debian.org/debian}"
)
