"""Keeps a real GPU busy with nothing but its driver: sets memory, over and over.

    gpu_load.py INDEX MEBIBYTES

Prints "busy" once it works, and goes on until it is ended. Exits 77 where there is no CUDA driver.
"""

import ctypes
import sys


def main():
    index, mebibytes = int(sys.argv[1]), int(sys.argv[2])
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        print(error, file=sys.stderr)
        sys.exit(77)

    def call(name, *args):
        code = getattr(cuda, name)(*args)
        if code != 0:
            sys.exit(f"{name} failed with {code}")

    device, context, memory = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_uint64()
    words = mebibytes << 18
    call("cuInit", 0)
    call("cuDeviceGet", ctypes.byref(device), index)
    call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
    call("cuCtxSetCurrent", context)
    call("cuMemAlloc_v2", ctypes.byref(memory), ctypes.c_size_t(words * 4))
    value = 0
    while True:
        for _ in range(64):
            call("cuMemsetD32Async", memory, ctypes.c_uint(value), ctypes.c_size_t(words), None)
            value = (value + 1) & 0xffffffff
        call("cuCtxSynchronize")
        if value == 64:
            print("busy", flush=True)


if __name__ == "__main__":
    main()
