#!/usr/bin/env bash
# Tests and measures on a machine with an NVIDIA GPU: benchmarks/gpu.sh, results in $OUT (runs/gpu).
# Takes the torch of $PYTHON (python3) if that sees the GPU, else an environment of its own. What is
# missing is installed; from the folder $WHEELS, if given, without a network.
set -euo pipefail
cd "$(dirname "$0")/.."

out=${OUT:-runs/gpu}
python=${PYTHON:-python3}
packages=$PWD/runs/gpu-packages
export PYTHONPATH="$packages${PYTHONPATH:+:$PYTHONPATH}"
source=()
[ -z "${WHEELS:-}" ] || source=(--no-index --find-links "$WHEELS")
# What tests and benchmark import: each by that name and by the one that is installed.
needed=(numpy:numpy cv2:opencv-python-headless PIL:pillow isal:isal tqdm:tqdm yaml:pyyaml
    pytest:pytest pytest_timeout:pytest-timeout pluggy:pluggy iniconfig:iniconfig
    packaging:packaging pygments:pygments hypothesis:hypothesis sortedcontainers:sortedcontainers)

sees_gpu() { "$1" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' 2>/dev/null; }

if ! sees_gpu "$python"; then
    command -v nvidia-smi >/dev/null || { echo "gpu: no NVIDIA driver here" >&2; exit 1; }
    "$python" -m venv runs/gpu-venv
    python=runs/gpu-venv/bin/python
    "$python" -m pip install --quiet "${source[@]}" '.[dev]'
    sees_gpu "$python" || { echo "gpu: torch sees no CUDA device here" >&2; exit 1; }
fi
missing=()
for pair in "${needed[@]}"; do
    "$python" -c "import ${pair%%:*}" 2>/dev/null || missing+=("${pair##*:}")
done
if [ ${#missing[@]} -gt 0 ]; then
    echo "gpu: $python lacks ${missing[*]}; they are fetched from ${WHEELS:-the package index}" >&2
    # Nothing that those need: it would hide the numpy that torch came with.
    "$python" -m pip install --quiet --no-deps --timeout 5 --retries 1 --target "$packages" "${source[@]}" \
        "${missing[@]}" || { echo "gpu: bring wheels of these and set WHEELS" >&2; exit 1; }
fi

mkdir -p "$out"
nvidia-smi >"$out/nvidia-smi.txt" || echo "gpu: nvidia-smi is not there"
status=0
CVUNETD_REQUIRE=cuda "$python" -m pytest -m cuda -ra --junitxml "$out/tests.xml" tests/inference/test_cuda*.py tests/worker/test_cuda_worker.py \
    tests/inference/test_matting.py tests/training/test_gpu_cuda.py 2>&1 | tee "$out/tests.txt" || status=$?
"$python" -m benchmarks --device "${DEVICE:-cuda}" --write "$out/benchmarks.md" "$@" 2>&1 |
    tee "$out/benchmarks.txt" || status=$?
if "$python" -c 'import onnx, onnxruntime' 2>/dev/null; then
    # CUDA in float32 and float16, TensorRT in float16; it says which of them this onnxruntime lacks.
    "$python" -m benchmarks.gpu_providers 2>&1 | tee "$out/providers.txt" || status=$?
else
    echo "gpu: onnx and onnxruntime are not there, so CUDA and TensorRT in onnxruntime are not measured"
fi
echo "gpu: results are in $out; exit status $status"
exit "$status"
