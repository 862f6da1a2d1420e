#!/bin/sh
# Send a bundle to another machine and install it there: deploy.sh user@host ARCHIVE
set -eu
target=$1
archive=$2
name=$(basename "$archive" .tar.gz)
scp -q "$archive" "$target:$name.tar.gz" || { echo "fer-edge: $target: cannot be reached by scp" >&2; exit 1; }
# -t: sudo may ask for a password.
exec ssh -t "$target" "tar -xzf $name.tar.gz && rm $name.tar.gz && { sudo ./$name/install.sh; status=\$?; rm -rf $name; exit \$status; }"
