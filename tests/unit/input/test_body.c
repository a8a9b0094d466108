#include "input/body.h"

#include "base/buf.h"
#include "test.h"

// Records as they come out, with a bar behind each.
static void test_bodies(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool json;
        const char *want;
    } rows[] = {
        {"", false, ""},
        {" \n\r\n", false, ""},
        {"", true, ""},
        {"{\"a\":1}\n{\"b\":2}\n", false, "{\"a\":1}|{\"b\":2}|"},
        {"{\"a\":1}\r\n\r\n {\"b\":2}", false, "{\"a\":1}|{\"b\":2}|"},
        {"{\"a\":1}\n{\"b\":\n{\"c\":3}\n", false, "{\"a\":1}|{\"b\":|{\"c\":3}|"},
        {"{\"a\":1}\nnonsense\n{\"b\":2}", false, "{\"a\":1}|nonsense|{\"b\":2}|"},
        {"nonsense", false, "nonsense|"},
        {"{\"a\":1}", true, "{\"a\":1}|"},
        {"{\n \"a\": 1\n}\n", true, "{\n \"a\": 1\n}|"},
        {"{\n \"a\": 1\n}\n", false, "{\n \"a\": 1\n}|"},
        {"{\"a\":1} {\"b\":2}", true, "{\"a\":1}|{\"b\":2}|"},
        {"{\"a\":1}\n{\"b\":2}", true, "{\"a\":1}|{\"b\":2}|"},
        {"{\"a\":1} {\"b\":", true, "{\"a\":1}|{\"b\":|"},
        {"[]", true, ""},
        {"[ ]", false, ""},
        {"[{\"a\":1}, {\"b\":[2]}\n]", true, "{\"a\":1}|{\"b\":[2]}|"},
        {"[{\"a\":1},{\"b\":2}]", false, "{\"a\":1}|{\"b\":2}|"},
        {"[1,\"x\",null]", true, "1|\"x\"|null|"},
        {"[{\"a\":1} {\"b\":2}]", true, "{\"a\":1}|{\"b\":2}]|"},
        {"[{\"a\":1},{\"b\":2", true, "{\"a\":1}|,{\"b\":2|"},
        {"[{\"a\":1}] x", true, "{\"a\":1}|] x|"},
        {"[", true, ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct body body;
        struct buf got;
        struct str text;
        buf_init(&got, 1024);
        body_begin(&body, str_of(rows[i].text), rows[i].json);
        while (body_next(&body, &text)) {
            buf_str(&got, text);
            buf_char(&got, '|');
        }
        if (!str_eq(buf_view(&got), str_of(rows[i].want))) {
            fail_msg("'%s' gives '%s', not '%s'", rows[i].text, buf_view(&got).p, rows[i].want);
        }
        buf_done(&got);
    }
}

int main(void)
{
    return TEST_RUN(TEST(test_bodies));
}
