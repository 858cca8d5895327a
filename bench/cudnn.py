#!/usr/bin/env python3
"""The benchmark's layers in PyTorch with cuDNN, for a machine with CUDA: rows of the same form as the other contenders'.

python3 bench/cudnn.py [--layers FILE] [--batch 1,64] [--json FILE] [--rounds N]

float32 runs with TF32 off, so that its products are float32 as WebGPU's are; float16 is a contender of its own. Each layer
runs channels-first and channels-last, and the faster one is kept, as the other contenders' best layout is.
"""

import argparse
import json
import statistics
from pathlib import Path

import torch
import torch.nn.functional as F


def useful_flops(layer, output):
    """Two operations for each tap that meets a real input and a real output."""
    batch, channels, *image = layer["input"]
    flops = 2 * batch * channels * layer["outChannels"] // layer["groups"]
    for axis in range(2):
        flops *= sum(
            0 <= i * layer["stride"][axis] - layer["padding"][axis] + k * layer["dilation"][axis] < output[axis]
            for i in range(image[axis])
            for k in range(layer["kernelSize"][axis])
        )
    return flops


def time_ms(run, repeats):
    """Milliseconds of one run, by the GPU's own clock."""
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    for _ in range(repeats):
        run()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / repeats


def reference(input, weight, options):
    """float64, of the first and the last image: images do not depend on each other."""
    images = torch.stack([input[0], input[-1]]).double()
    return F.conv_transpose2d(images, weight.double(), **options)


def measure(layer, dtype, rounds):
    generator = torch.Generator(device="cuda").manual_seed(1)
    shape = [layer["input"][1], layer["outChannels"] // layer["groups"], *layer["kernelSize"]]
    uniform = lambda size: torch.rand(size, generator=generator, device="cuda") * 2 - 1
    input, weight = uniform(layer["input"]).to(dtype), uniform(shape).to(dtype)
    options = {
        "stride": layer["stride"],
        "padding": layer["padding"],
        "output_padding": layer["outputPadding"],
        "groups": layer["groups"],
        "dilation": layer["dilation"],
    }
    expected = reference(input, weight, options)
    best = None
    for setting, memory_format in (("nchw", torch.contiguous_format), ("nhwc", torch.channels_last)):
        x = input.contiguous(memory_format=memory_format)
        w = weight.contiguous(memory_format=memory_format)
        run = lambda: F.conv_transpose2d(x, w, **options)
        result = run()
        checked = torch.stack([result[0], result[-1]]).double()
        max_error = ((checked - expected).abs().max() / expected.abs().max()).item()
        for _ in range(10):  # cudnn.benchmark tries its algorithms in the first
            run()
        torch.cuda.synchronize()
        repeats = max(1, min(10_000, round(20 / max(time_ms(run, 10), 1e-3))))
        samples = [time_ms(run, repeats) for _ in range(rounds)]
        median = statistics.median(samples)
        if best is None or median < best["medianMs"]:
            best = {
                "setting": setting,
                "medianMs": median,
                "minMs": min(samples),
                "maxMs": max(samples),
                "gflops": useful_flops(layer, result.shape[2:]) / median / 1e6,
                "maxError": max_error,
            }
    return best


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=Path, default=Path(__file__).with_name("layers.json"))
    parser.add_argument("--batch", default="1,64", help="multiples of each layer's own batch")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("no CUDA device")
    torch.set_grad_enabled(False)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True

    about = f"{torch.cuda.get_device_name()} (PyTorch {torch.__version__}, cuDNN {torch.backends.cudnn.version()})"
    print(about)
    rows = []
    for times in map(int, arguments.batch.split(",")):
        for layer in json.loads(arguments.layers.read_text()):
            batch, *image = layer["input"]
            layer = {**layer, "input": [batch * times, *image]}
            name = layer["name"] if times == 1 else f"{layer['name']}@{batch * times}"
            for contender, dtype in (("cudnn-float32", torch.float32), ("cudnn-float16", torch.float16)):
                row = {"layer": name, "contender": contender, "adapter": about}
                try:
                    row.update(measure(layer, dtype, arguments.rounds))
                    print(f"{name:24} {contender:14} {row['medianMs']:9.4f} ms {row['gflops']:10.1f} GFLOP/s {row['maxError']:.1e}")
                except RuntimeError as error:  # refused, or out of memory
                    none = dict.fromkeys(["setting", "medianMs", "minMs", "maxMs", "gflops", "maxError"])
                    row.update(none, error=str(error).splitlines()[0])
                    print(f"{name:24} {contender:14} {row['error']}")
                rows.append(row)
            torch.cuda.empty_cache()
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
