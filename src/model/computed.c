#include "model/computed.h"

enum { OF_USAGE = FIELD_OF(RECORD_USAGE), OF_BOTH = FIELD_OF(RECORD_SAMPLE) | OF_USAGE };

static const struct {
    const char *name;
    unsigned kinds;
} computed[] = {
    {"start", OF_USAGE},        {"cost_per_token", OF_USAGE}, {"cost_nusd", OF_USAGE},
    {"cost_in_nusd", OF_USAGE}, {"cost_out_nusd", OF_USAGE},  {"energy_j", OF_USAGE},
    {"unpriced_ns", OF_USAGE},  {"final", OF_USAGE},          {"late", OF_USAGE},
    {"revision", OF_USAGE},     {"method", OF_USAGE},         {"partition", OF_BOTH},
};

unsigned computed_of(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(computed); i++) {
        if (str_eq(name, str_of(computed[i].name))) {
            return computed[i].kinds;
        }
    }
    return 0;
}
