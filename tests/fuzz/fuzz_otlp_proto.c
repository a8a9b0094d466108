// Bodies of POST /v1/traces in protobuf.
#include "fuzz.h"
#include "otlp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return otlp_body(OTLP_PROTO, (struct str){(const char *)data, size});
}
