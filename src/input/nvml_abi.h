// What gtap uses of NVML's binary interface, so that it builds without NVIDIA's header: NVML is
// loaded at run time (nvml_lib.h), never linked.
//
// Source: gen/nvml/nvml.h of NVIDIA/go-nvml @2f9e261 (NVML_API_VERSION 13); sizes and offsets were
// measured by compiling against it on x86-64. The structs are the same on every LP64 machine.
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef struct nvml_device *nvml_device; // opaque; a GPU or a MIG slice of one

// nvmlReturn_t.
enum nvml_code {
    NVML_SUCCESS = 0,
    NVML_UNINITIALIZED = 1,
    NVML_INVALID_ARGUMENT = 2,
    NVML_NOT_SUPPORTED = 3,
    NVML_NO_PERMISSION = 4,
    NVML_NOT_FOUND = 6,
    NVML_INSUFFICIENT_SIZE = 7,
    NVML_DRIVER_NOT_LOADED = 9,
    NVML_TIMEOUT = 10,
    NVML_FUNCTION_NOT_FOUND = 13,
    NVML_GPU_IS_LOST = 15,
    NVML_RESET_REQUIRED = 16,
    NVML_LIB_RM_VERSION_MISMATCH = 18,
    NVML_ARGUMENT_VERSION_MISMATCH = 25,
    NVML_DEPRECATED = 26,
    NVML_GPU_NOT_FOUND = 28,
    NVML_UNKNOWN = 999,
};

// nvmlUtilization_t: percent of the last 1/6 to 1 s.
struct nvml_utilization {
    uint32_t gpu, memory;
};
_Static_assert(sizeof(struct nvml_utilization) == 8, "nvmlUtilization_t");
_Static_assert(offsetof(struct nvml_utilization, memory) == 4, "nvmlUtilization_t");

// nvmlMemory_t: bytes; `used` includes what the driver reserves.
struct nvml_memory_v1 {
    uint64_t total, free, used;
};
_Static_assert(sizeof(struct nvml_memory_v1) == 24, "nvmlMemory_t");
_Static_assert(offsetof(struct nvml_memory_v1, used) == 16, "nvmlMemory_t");

// nvmlMemory_v2_t: bytes. The header says that `used` includes what is reserved; real boards say
// that it does not: 81559 = 19818 used + 61263 free + 479 reserved, less 1 MiB of rounding.
struct nvml_memory_v2 {
    uint32_t version; // NVML_MEMORY_V2, set by the caller
    uint64_t total, reserved, free, used;
};
_Static_assert(sizeof(struct nvml_memory_v2) == 40, "nvmlMemory_v2_t");
_Static_assert(offsetof(struct nvml_memory_v2, total) == 8, "nvmlMemory_v2_t");
_Static_assert(offsetof(struct nvml_memory_v2, reserved) == 16, "nvmlMemory_v2_t");
_Static_assert(offsetof(struct nvml_memory_v2, free) == 24, "nvmlMemory_v2_t");
_Static_assert(offsetof(struct nvml_memory_v2, used) == 32, "nvmlMemory_v2_t");

// nvmlDeviceAttributes_t, of MIG slices only.
struct nvml_attributes {
    uint32_t multiprocessors, copy_engines, decoders, encoders, jpegs, ofas;
    uint32_t gpu_instance_slices, compute_instance_slices;
    uint64_t memory_mib;
};
_Static_assert(sizeof(struct nvml_attributes) == 40, "nvmlDeviceAttributes_t");
_Static_assert(offsetof(struct nvml_attributes, gpu_instance_slices) == 24, "attributes");
_Static_assert(offsetof(struct nvml_attributes, compute_instance_slices) == 28, "attributes");
_Static_assert(offsetof(struct nvml_attributes, memory_mib) == 32, "nvmlDeviceAttributes_t");

// nvmlTemperature_v1_t.
struct nvml_temperature_v1 {
    uint32_t version; // NVML_TEMPERATURE_V1, set by the caller
    uint32_t sensor;
    int32_t celsius;
};
_Static_assert(sizeof(struct nvml_temperature_v1) == 12, "nvmlTemperature_v1_t");
_Static_assert(offsetof(struct nvml_temperature_v1, celsius) == 8, "nvmlTemperature_v1_t");

// Versions are sizeof | version << 24.
#define NVML_MEMORY_V2 UINT32_C(0x02000028)
#define NVML_TEMPERATURE_V1 UINT32_C(0x0100000c)
_Static_assert(NVML_MEMORY_V2 == (sizeof(struct nvml_memory_v2) | 2U << 24), "memory v2");
_Static_assert(NVML_TEMPERATURE_V1 == (sizeof(struct nvml_temperature_v1) | 1U << 24), "v1");

enum {
    NVML_CLOCK_SM = 1,
    NVML_SENSOR_GPU = 0,
    NVML_MIG_ENABLED = 1,
    NVML_TEXT_MAX = 96, // the longest buffer NVML asks for: UUIDs of version 2, names
};
