// Bodies of POST /v1/traces in JSON.
#include "fuzz.h"
#include "otlp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return otlp_body(OTLP_JSON, (struct str){(const char *)data, size});
}
