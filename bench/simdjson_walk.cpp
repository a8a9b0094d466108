#include "simdjson_walk.h"

#include <cerrno>
#include <string_view>

#include <simdjson.h>

namespace json = simdjson::ondemand;

struct simdjson_walk {
    json::parser parser;
};

struct simdjson_walk *simdjson_walk_new(void)
{
    return new struct simdjson_walk();
}

void simdjson_walk_free(struct simdjson_walk *w)
{
    delete w;
}

// What a value is shows in its first byte.
static simdjson::error_code add_value(json::value &v, double *sum)
{
    std::string_view text;
    double number = 0;
    simdjson::error_code code =
        *v.raw_json_token().data() == '"' ? v.get_string().get(text) : v.get_double().get(number);
    *sum += number + static_cast<double>(text.size());
    return code;
}

int simdjson_walk_record(struct simdjson_walk *w, struct str text, double *sum)
{
    json::document doc;
    json::object object;
    if (w->parser.iterate(text.p, text.n, text.n + simdjson::SIMDJSON_PADDING).get(doc) ||
        doc.get_object().get(object)) {
        return -EINVAL;
    }
    for (auto result : object) {
        json::field member;
        if (std::move(result).get(member) || add_value(member.value(), sum)) {
            return -EINVAL;
        }
        *sum += static_cast<double>(*member.key().raw());
    }
    return 0;
}
