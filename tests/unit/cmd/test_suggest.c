#include "base/macros.h"
#include "cmd/suggest.h"
#include "test.h"

static void test_suggest(void **state)
{
    (void)state;
    static const char *const names[] = {"run",    "report",       "export", "verify",
                                        "config", "price import", "price",  NULL};
    static const struct {
        const char *word, *want; // NULL: nothing is near
    } rows[] = {
        {"report", "report"}, {"reprot", "report"}, // two letters swapped are one slip
        {"raport", "report"}, {"repor", "report"},  // the beginning of a name
        {"r", "run"},                               // the first of those that begin so
        {"exprot", "export"}, {"verifi", "verify"},
        {"confg", "config"},  {"pric", "price import"},
        {"prise", "price"},   {"ruin", "run"},
        {"bench", NULL},      {"xyz", NULL},
        {"", NULL},           {"a-word-much-longer-than-any-name-there-could-be", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *got = suggest(rows[i].word, names);
        if (!str_eq(str_of(got), str_of(rows[i].want))) {
            fail_at(__FILE__, __LINE__, "'%s': %s\n", rows[i].word, got ? got : "nothing");
        }
    }
    assert_null(suggest("run", &names[ARRAY_LEN(names) - 1]));
}

int main(void)
{
    return TEST_RUN(TEST(test_suggest));
}
