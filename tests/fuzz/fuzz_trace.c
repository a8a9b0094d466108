// Traces: their lines, and trace: as a whole.
#include "fuzz.h"

#include <assert.h>
#include <unistd.h>

#include "base/time.h"
#include "input/trace_format.h"
#include "reading.h"

static void lines(struct str text)
{
    struct str first;
    struct trace_layout layout;
    if (!str_split(&text, '\n', &first) || !trace_recognise(first, &layout)) {
        return;
    }
    for (struct str line; str_split(&text, '\n', &line);) {
        struct trace_request r;
        struct error err = {0};
        if (trace_parse(&layout, line, &r, &err) < 0) {
            assert(err.code < 0 && err.msg[0] != '\0');
            continue;
        }
        assert(r.time >= 0 && r.time < TIME_MAX);
        assert(r.prompt >= 0 && r.prompt <= TRACE_PROMPT_MAX);
        assert(r.output >= 0 && r.output <= TRACE_OUTPUT_MAX);
        assert(!str_present(r.model) || (r.model.p >= line.p && r.model.n <= line.n));
    }
}

static size_t count_lines(struct str text)
{
    size_t n = 0;
    for (struct str line; str_split(&text, '\n', &line);) {
        n++;
    }
    return n;
}

// Samples every 30 s, so that what a wrong date costs is little.
static void whole(struct str text)
{
    static const char options[] = "?gpus=1&every=30s&price=2.5&tenants=3";
    struct reading r, rest;
    int fd = memory_file(text.p, text.n);
    reading_from(&r, "trace", fd, options, 0);
    assert(r.n_dead <= count_lines(text));
    if (r.result == INPUT_END) {
        int64_t half = (int64_t)(r.n / 2);
        reading_from(&rest, "trace", fd, options, half);
        assert(rest.result == INPUT_END && rest.position == r.position);
        reading_done(&rest);
    }
    reading_done(&r);
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    lines(text);
    whole(text);
    return 0;
}
