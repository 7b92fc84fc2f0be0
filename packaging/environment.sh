#!/bin/sh
# Makes the Python environment that the container and the .deb carry, in four steps. A container
# build keeps each step's result, and repeats only the last two when the program has changed.
#
#   environment.sh tools TOOLS
#       an environment with pip and all that builds; nothing of it is shipped
#   environment.sh libraries FOLDER TOOLS
#       the environment that is shipped, with the libraries of the program
#   environment.sh weights FOLDER TOOLS OUT EXPORTER
#       the weights exported for onnxruntime: of the checkout, if `make run` or `make setup` has made
#       them there, or made now. For that torch is needed once: without torch in FOLDER it is
#       installed into EXPORTER, and found there the next time
#   environment.sh program FOLDER TOOLS WEIGHTS [ROOT]
#       the program, the exported weights, and the list of all parts (share/cvunetd/sbom.cdx.json,
#       CycloneDX); with ROOT a second copy of what this step adds, below ROOT
#
# Variables: RUNTIME (onnxruntime: a small environment without torch; torch: both runtimes)
#            EXTRAS (of setup.cfg, separated by commas), PYTHON (python3)
#            TORCH_INDEX (an index of packages to ask besides pip's own: PyTorch's for a torch without CUDA)
set -eu

HERE=$(cd "$(dirname "$0")" && pwd)
SOURCE=$(dirname "$HERE")
RUNTIME=${RUNTIME:-onnxruntime}
EXTRAS=${EXTRAS:-heif,hooks,metrics,web}
PYTHON=${PYTHON:-python3}
TORCH_INDEX=${TORCH_INDEX:-}
#: The wheel is built with the first, the second lists the parts; both are no parts themselves.
BUILDERS="setuptools>=77 cyclonedx-bom==7.5.0"

complain() {
    echo "environment.sh: $*" >&2
    exit 1
}

# Versions are those that were tested. Compiling is a step of its own, on all cores, and what is used
# once is not compiled.
install_with() {
    python=$1
    shift
    "$python" -m pip --disable-pip-version-check "$@" --quiet --no-compile --constraint "$SOURCE/constraints.txt" \
        ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"}
}

make_tools() {
    "$PYTHON" -m venv "$1"
    # shellcheck disable=SC2086 # several words
    install_with "$1/bin/python" install $BUILDERS
}

make_libraries() {
    folder=$1 tools=$2
    set --
    for extra in $(echo "$EXTRAS" | tr , ' '); do
        set -- "$@" --extra "$extra"
    done
    case $RUNTIME in
        torch) set -- "$@" --extra onnx ;;
        # onnx only writes files.
        onnxruntime) set -- "$@" --extra onnx --without torch --without onnx ;;
        *) complain "RUNTIME is onnxruntime or torch, not $RUNTIME" ;;
    esac
    "$PYTHON" -m venv --without-pip "$folder"
    wanted=$(mktemp)
    "$folder/bin/python" "$HERE/requirements.py" "$SOURCE/setup.cfg" "$@" >"$wanted"
    install_with "$tools/bin/python" --python "$folder/bin/python" install --requirement "$wanted"
    rm -f "$wanted"
    # A library may ship a file for another Python, which does not compile.
    "$folder/bin/python" -m compileall -q -j 0 "$folder/lib" >/dev/null || true
}

make_exporter() {
    exporter=$1 tools=$2
    # The stamp comes last: a download that broke off is begun again.
    stamp=$exporter/$("$PYTHON" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')-$(cksum <"$SOURCE/constraints.txt" | tr -d ' ')
    [ ! -e "$stamp" ] || return 0
    mkdir -p "$exporter"
    find "$exporter" -mindepth 1 -delete # the folder itself may be a mount
    install_with "$tools/bin/python" install --target "$exporter/libraries" torch onnx
    touch "$stamp"
}

make_weights() {
    folder=$1 tools=$2 out=$3 exporter=$4
    mkdir -p "$out"
    if "$folder/bin/python" -B "$HERE/exported.py" "$SOURCE" "$out"; then
        return
    fi
    [ "$RUNTIME" = torch ] || make_exporter "$exporter" "$tools"
    cp "$SOURCE/models/cvunet.pth" "$SOURCE/models/manifest.yaml" "$out/"
    PYTHONPATH="$SOURCE:$exporter/libraries" "$folder/bin/python" -B -m cvunet.export "$out/cvunet.pth"
    rm -f "$out/cvunet.pth" "$out/manifest.yaml"
}

make_program() {
    folder=$1 tools=$2 weights=$3 root=${4:-}
    wheels=$(mktemp -d)
    "$tools/bin/python" -m pip --disable-pip-version-check wheel --quiet --no-deps --no-build-isolation --wheel-dir "$wheels" "$SOURCE"
    "$tools/bin/python" -m pip --disable-pip-version-check --python "$folder/bin/python" install --quiet --no-deps --root "${root:-/}" "$wheels"/*.whl
    rm -rf "$wheels"
    # Not from the source: the export lies beside the weights that were installed.
    cp "$weights"/* "$root$folder/share/cvunetd/models/"
    [ -z "$root" ] || cp -a "$root/." /
    "$tools/bin/cyclonedx-py" environment --output-reproducible --output-file "$root$folder/share/cvunetd/sbom.cdx.json" "$folder/bin/python"
}

usage="usage: environment.sh tools TOOLS, libraries FOLDER TOOLS, weights FOLDER TOOLS OUT EXPORTER, or program FOLDER TOOLS WEIGHTS [ROOT]"
case $#-${1:-} in
    2-tools) make_tools "$2" ;;
    3-libraries) make_libraries "$2" "$3" ;;
    5-weights) make_weights "$2" "$3" "$4" "$5" ;;
    4-program | 5-program) make_program "$2" "$3" "$4" "${5:-}" ;;
    *) complain "$usage" ;;
esac
