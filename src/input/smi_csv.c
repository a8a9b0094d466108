#include "input/smi_csv.h"

#include <errno.h>

#include "base/decimal.h"
#include "base/time.h"
#include "model/mig.h"

enum { CELLS_MAX = 1024, DECIMALS = 3, TIMESTAMP_MAX = 40, SHOWN_MAX = 60 };

const char smi_query[] = "index,name,uuid,utilization.gpu,memory.used,memory.total,power.draw,"
                         "temperature.gpu,clocks.current.sm";

// Names and their unit; old and short names are the same column.
static const struct {
    enum smi_column column;
    const char *name, *unit; // unit NULL: none
} names[] = {
    {SMI_TIMESTAMP, "timestamp", NULL},
    {SMI_INDEX, "index", NULL},
    {SMI_NAME, "name", NULL},
    {SMI_NAME, "gpu_name", NULL},
    {SMI_UUID, "uuid", NULL},
    {SMI_UUID, "gpu_uuid", NULL},
    {SMI_UTILIZATION, "utilization.gpu", "%"},
    {SMI_MEM_USED, "memory.used", "MiB"},
    {SMI_MEM_TOTAL, "memory.total", "MiB"},
    {SMI_POWER, "power.draw", "W"},
    {SMI_POWER_AVERAGE, "power.draw.average", "W"},
    {SMI_POWER_INSTANT, "power.draw.instant", "W"},
    {SMI_TEMPERATURE, "temperature.gpu", NULL},
    {SMI_SM_CLOCK, "clocks.current.sm", "MHz"},
    {SMI_SM_CLOCK, "clocks.sm", "MHz"},
};

// Where a measurement goes, and what one of its units is there.
static const struct measurement {
    enum smi_column column;
    uint32_t has;
    size_t offset;
    double per_unit;
} measurements[] = {
    {SMI_UTILIZATION, SAMPLE_UTILIZATION, offsetof(struct gpu_sample, utilization), 100},
    {SMI_MEM_USED, SAMPLE_MEM_USED, offsetof(struct gpu_sample, mem_used_mb), 1},
    {SMI_MEM_TOTAL, SAMPLE_MEM_TOTAL, offsetof(struct gpu_sample, mem_total_mb), 1},
    {SMI_POWER, SAMPLE_POWER, offsetof(struct gpu_sample, power_w), 1},
    {SMI_POWER_AVERAGE, SAMPLE_POWER, offsetof(struct gpu_sample, power_w), 1},
    {SMI_POWER_INSTANT, SAMPLE_POWER, offsetof(struct gpu_sample, power_w), 1},
    {SMI_TEMPERATURE, SAMPLE_TEMPERATURE, offsetof(struct gpu_sample, temperature_c), 1},
    {SMI_SM_CLOCK, SAMPLE_SM_CLOCK, offsetof(struct gpu_sample, sm_clock_mhz), 1},
};

static size_t find_name(struct str name, struct str unit)
{
    size_t i = 0;
    while (i < ARRAY_LEN(names) &&
           !(str_eq(name, str_of(names[i].name)) && str_eq(unit, str_of(names[i].unit)))) {
        i++;
    }
    return i;
}

// "memory.used [MiB]": a column in another unit is another column.
static void take_header_cell(struct str cell, size_t number, struct smi_layout *l)
{
    struct str unit = str_trim(cell), name;
    (void)str_split(&unit, ' ', &name);
    if (str_present(unit)) {
        unit = str_trim(unit);
        bool bracketed = unit.n > 2 && unit.p[0] == '[' && unit.p[unit.n - 1] == ']';
        unit = bracketed ? (struct str){unit.p + 1, unit.n - 2} : STR("?");
    }
    size_t i = find_name(name, unit);
    if (i < ARRAY_LEN(names) && l->place[names[i].column] == 0) {
        l->place[names[i].column] = number;
    }
}

bool smi_recognise(struct str line, struct smi_layout *ret)
{
    struct str cell;
    *ret = (struct smi_layout){0};
    while (ret->n < CELLS_MAX && str_split(&line, ',', &cell)) {
        take_header_cell(cell, ++ret->n, ret);
    }
    bool measures = false;
    for (size_t i = 0; i < ARRAY_LEN(measurements); i++) {
        measures |= ret->place[measurements[i].column] > 0;
    }
    return !str_present(line) && ret->place[SMI_INDEX] > 0 && measures;
}

// "[N/A]", "[Not Supported]", "[Insufficient Permissions]", "[Unknown Error]", "[GPU is lost]":
// what stands between brackets is the reason why there is no value.
static bool tells_nothing(struct str cell)
{
    static const char *const bare[] = {
        "",
        "N/A",
        "Not Supported",
        "Requested functionality has been deprecated",
    };
    for (size_t i = 0; i < ARRAY_LEN(bare); i++) {
        if (str_eq(cell, str_of(bare[i]))) {
            return true;
        }
    }
    return cell.p[0] == '[' && cell.p[cell.n - 1] == ']';
}

struct row {
    struct str cells[SMI_COLUMNS]; // absent: not there, or it tells nothing
};

static int split_row(const struct smi_layout *l, struct str line, struct row *ret,
                     struct error *err)
{
    struct str cell;
    size_t n = 0;
    *ret = (struct row){0};
    while (n <= l->n && str_split(&line, ',', &cell)) {
        n++;
        cell = str_trim(cell);
        for (size_t c = 0; c < SMI_COLUMNS && !tells_nothing(cell); c++) {
            if (l->place[c] == n) {
                ret->cells[c] = cell;
            }
        }
    }
    if (n != l->n || str_present(line)) {
        return error_set(err, -EINVAL, "%s cells than the header's %zu",
                         n < l->n ? "fewer" : "more", l->n);
    }
    return 0;
}

static const char *name_of(enum smi_column column)
{
    size_t i = 0;
    while (names[i].column != column) {
        i++;
    }
    return names[i].name;
}

static const char *unit_of(enum smi_column column)
{
    size_t i = 0;
    while (names[i].column != column) {
        i++;
    }
    return names[i].unit;
}

static int bad_cell(enum smi_column column, struct str cell, struct error *err)
{
    struct str shown = {cell.p, MIN(cell.n, (size_t)SHOWN_MAX)};
    return error_set(err, -EINVAL, "%s: cannot be '" STR_FMT "'", name_of(column), STR_ARG(shown));
}

// "631.95 W", or "631.95" alone as --format=csv,nounits has it.
static int read_number(enum smi_column column, struct str cell, double *ret, struct error *err)
{
    struct str unit = cell, number;
    int64_t v;
    (void)str_split(&unit, ' ', &number);
    if (str_present(unit) && !str_eq(str_trim(unit), str_of(unit_of(column)))) {
        return bad_cell(column, cell, err);
    }
    if (decimal_parse(number, DECIMALS, &v) < 0 || v < 0) {
        return bad_cell(column, cell, err);
    }
    *ret = (double)v / 1000.0;
    return 0;
}

static int read_measurements(const struct row *row, struct gpu_sample *s, struct error *err)
{
    int r = 0;
    for (size_t i = 0; i < ARRAY_LEN(measurements) && r == 0; i++) {
        const struct measurement *m = &measurements[i];
        struct str cell = row->cells[m->column];
        double v = 0;
        if (!str_present(cell) || s->has & m->has) {
            continue;
        }
        r = read_number(m->column, cell, &v, err);
        if (r == 0) {
            *(double *)(void *)((char *)s + m->offset) = v / m->per_unit;
            s->has |= m->has;
        }
    }
    if (r == 0 && s->has & SAMPLE_UTILIZATION && s->utilization > 1) {
        return bad_cell(SMI_UTILIZATION, row->cells[SMI_UTILIZATION], err);
    }
    return r;
}

// "2026/07/14 08:12:53.353".
static int read_timestamp(struct str cell, struct smi_row *ret, struct error *err)
{
    char iso[TIMESTAMP_MAX];
    ret->has_ts = str_present(cell);
    if (!ret->has_ts) {
        return 0;
    }
    if (cell.n >= sizeof(iso) || memchr(cell.p, '-', cell.n) || memchr(cell.p, 'Z', cell.n)) {
        return bad_cell(SMI_TIMESTAMP, cell, err);
    }
    for (size_t i = 0; i < cell.n; i++) {
        iso[i] = cell.p[i];
        if (iso[i] == '/') {
            iso[i] = '-';
        }
    }
    if (time_parse_iso((struct str){iso, cell.n}, &ret->local_ts) < 0) {
        return bad_cell(SMI_TIMESTAMP, cell, err);
    }
    return 0;
}

static int read_index(struct str cell, int32_t *ret, struct error *err)
{
    int64_t v;
    bool digits = cell.n > 0;
    for (size_t i = 0; i < cell.n; i++) {
        digits = digits && cell.p[i] >= '0' && cell.p[i] <= '9';
    }
    if (!digits || decimal_parse(cell, 0, &v) < 0 || v > RECORD_GPU_INDEX_MAX) {
        return bad_cell(SMI_INDEX, cell, err);
    }
    *ret = (int32_t)v;
    return 0;
}

int smi_parse(const struct smi_layout *layout, struct str line, struct arena *a,
              struct smi_row *ret, struct error *err)
{
    struct row row;
    struct gpu_sample *s = &ret->sample;
    struct str gpu, profile;
    *ret = (struct smi_row){.sample.gpu.instance = GPU_INSTANCE_NONE};
    int r = split_row(layout, line, &row, err);
    r = r < 0 ? r : read_index(row.cells[SMI_INDEX], &s->gpu.index, err);
    r = r < 0 ? r : read_timestamp(row.cells[SMI_TIMESTAMP], ret, err);
    r = r < 0 ? r : read_measurements(&row, s, err);
    if (r < 0) {
        return r;
    }
    s->uuid = row.cells[SMI_UUID];
    s->name = row.cells[SMI_NAME];
    if (mig_split(s->name, &gpu, &profile)) {
        s->name = mig_name(a, profile, gpu);
        s->mig_profile = profile;
    }
    if (s->has == 0) {
        return error_set(err, -ENODATA, "GPU %d: no measurement at all", s->gpu.index);
    }
    return 0;
}
