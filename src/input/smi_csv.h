// What `nvidia-smi --query-gpu=... --format=csv` prints: a header that names its columns with their
// units, then a row a GPU. Columns are found by name, in any order, whatever else there is.
//
// Source: the captures of utkuozdemir/nvidia_gpu_exporter (MIT) of drivers 590.48.01 and 595.71.05,
// and the help text of --help-query-gpu in them.
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "model/record.h"

enum smi_column {
    SMI_TIMESTAMP,
    SMI_INDEX,
    SMI_NAME,
    SMI_UUID,
    SMI_UTILIZATION,
    SMI_MEM_USED,
    SMI_MEM_TOTAL,
    SMI_POWER, // the first of these three that a row has
    SMI_POWER_AVERAGE,
    SMI_POWER_INSTANT,
    SMI_TEMPERATURE,
    SMI_SM_CLOCK,
    SMI_COLUMNS,
};

struct smi_layout {
    size_t n;                  // columns
    size_t place[SMI_COLUMNS]; // from 1; 0: not there
};

struct smi_row {
    bool has_ts;
    int64_t local_ts;         // ns: the timestamp as if it were UTC, since it names no zone
    struct gpu_sample sample; // but ts, host, site, source and price
};

// What gtap asks for, for --query-gpu=.
extern const char smi_query[];

// Whether the line is a header with an index and at least one measurement.
bool smi_recognise(struct str line, struct smi_layout *ret);

// A row, without its line end. Texts point into the line or the arena. What nvidia-smi cannot tell
// ("[N/A]", "[Not Supported]", anything between brackets) is absent. A MIG slice seen from inside
// of a container is named as mig.h says. -ENODATA: it says no measurement of this GPU; -EINVAL: it
// is no row, with what is wrong.
int smi_parse(const struct smi_layout *layout, struct str line, struct arena *a,
              struct smi_row *ret, struct error *err) GTAP_CHECK;
