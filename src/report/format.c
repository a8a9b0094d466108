#include "report/format.h"

const struct report_format *const report_formats[] = {
    &format_table, &format_csv, &format_json, &format_html, &format_focus, NULL,
};
