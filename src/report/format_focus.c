// FOCUS 1.4, the FinOps Open Cost and Usage Specification (https://focus.finops.org): its Cost and
// Usage dataset as CSV. A GPU's charge of an hour or a day is the origin charge; it is split over a
// row for each tenant, model and token type, and rows for idle and unattributed time, whose
// AllocatedRatios add up to 1. Columns that the specification does not have begin with x_.
#include <stdlib.h>

#include "base/decimal.h"
#include "report/csv.h"
#include "report/digits.h"
#include "report/focus.h"
#include "report/focus_charges.h"
#include "report/format.h"
#include "report/json.h"
#include "report/rates.h"

enum { TEXT_LIMIT = 16 * 1024, NANO = 9, MTOK_DECIMALS = 6 };

static const enum report_dim dims[] = {DIM_HOUR, DIM_GPU, DIM_SITE, DIM_TENANT, DIM_MODEL};

struct focus {
    const struct report *report;
    const struct focus_names *names;
    struct buf *b, text;
    bool first;
};

static struct str value_of(const struct charge *c, size_t at)
{
    struct str text = c->row->values[at].text;
    return text.n > 0 ? text : STR_NONE;
}

// ---- cells ---------------------------------------------------------------------------------

static void cell(struct focus *f, struct str text)
{
    csv_field(f->b, f->first, text);
    f->first = false;
}

static void foreign(struct focus *f, struct str text)
{
    csv_foreign(f->b, f->first, text);
    f->first = false;
}

// What is in f->text; nothing: null.
static void cell_text(struct focus *f)
{
    cell(f, buf_view(&f->text));
    buf_clear(&f->text);
}

static void decimal(struct focus *f, i128 v, int scale)
{
    decimal_format_i128(&f->text, v, scale);
    cell_text(f);
}

static bool is_usage(const struct charge *c)
{
    return c->meter != METER_TIME;
}

static bool is_split(const struct charge *c)
{
    return c->row->kind != ROW_UNPLACED;
}

static bool is_correction(const struct charge *c)
{
    return c->row->settled != INT64_MIN;
}

// Not of corrections: what moved from one part to another has no ratio.
static void allocated_details(struct focus *f, const struct charge *c)
{
    if (c->ratio >= 0) {
        buf_cstr(&f->text, "{\"Elements\":[{\"AllocatedRatio\":");
        decimal_format_i128(&f->text, c->ratio, FOCUS_RATIO_DECIMALS);
        buf_cstr(&f->text, "}]}");
    }
    cell_text(f);
}

// The method in force when the period begins.
static void allocated_method(struct focus *f, const struct charge *c)
{
    const struct report *r = f->report;
    size_t i = 0;
    while (i + 1 < r->n_splits && r->splits[i + 1].effective_from <= c->row->values[AT_TIME].time) {
        i++;
    }
    if (is_split(c) && r->n_splits > 0) {
        const struct settings *s = &r->splits[i];
        buf_printf(&f->text, "gtap-%s", method_name(s->method));
        if (s->method == METHOD_WEIGHTED) {
            buf_printf(&f->text, "-%d:%d", (int)s->weight_in, (int)s->weight_out);
        }
    }
    cell_text(f);
}

// "search/llama-3-70b": what the part is for. Idle time is the part that was not allocated.
static void allocated_to(struct focus *f, const struct charge *c)
{
    if (is_split(c) && is_usage(c)) {
        if (str_present(value_of(c, AT_TENANT))) {
            buf_str(&f->text, value_of(c, AT_TENANT));
            buf_char(&f->text, '/');
        }
        buf_str(&f->text, value_of(c, AT_MODEL));
    }
    foreign(f, buf_view(&f->text));
    buf_clear(&f->text);
}

static void allocated_tags(struct focus *f, const struct charge *c)
{
    struct json j = {.b = &f->text};
    if (is_split(c) && is_usage(c)) {
        json_open(&j, NULL, '{');
        json_str(&j, "model", value_of(c, AT_MODEL));
        if (str_present(value_of(c, AT_TENANT))) {
            json_str(&j, "tenant", value_of(c, AT_TENANT));
        }
        json_close(&j, '}');
    }
    cell_text(f);
}

static void cost(struct focus *f, const struct charge *c)
{
    decimal(f, c->cost_nusd, NANO);
}

static void account_id(struct focus *f, const struct charge *c)
{
    (void)c;
    foreign(f, str_of(f->names->account_id));
}

static void account_name(struct focus *f, const struct charge *c)
{
    (void)c;
    foreign(f, str_of(f->names->account_name));
}

static void currency(struct focus *f, const struct charge *c)
{
    (void)c;
    cell(f, STR("USD"));
}

static void month(struct focus *f, const struct charge *c, bool later)
{
    int64_t t = is_correction(c) ? c->row->settled : c->row->values[AT_TIME].time;
    time_format_iso(&f->text, later ? billing_month_end(t) : billing_month(t));
    cell_text(f);
}

static void billing_start(struct focus *f, const struct charge *c)
{
    month(f, c, false);
}

static void billing_end(struct focus *f, const struct charge *c)
{
    month(f, c, true);
}

static int64_t period(const struct focus *f)
{
    return f->report->query.by[0] == DIM_DAY ? NS_PER_DAY : NS_PER_HOUR;
}

// Of a period that the range asked for cuts, the part within.
static void charge_start(struct focus *f, const struct charge *c)
{
    const struct report *r = f->report;
    int64_t start = c->row->values[AT_TIME].time;
    bool cut = r->query.from != INT64_MIN && !is_correction(c);
    time_format_iso(&f->text, cut ? MAX(start, r->from) : start);
    cell_text(f);
}

static void charge_end(struct focus *f, const struct charge *c)
{
    const struct report *r = f->report;
    int64_t end = c->row->values[AT_TIME].time + period(f);
    bool cut = r->query.to != INT64_MAX && !is_correction(c);
    time_format_iso(&f->text, cut ? MIN(end, r->to) : end);
    cell_text(f);
}

// A GPU is capacity that was paid for, used or not; without telemetry nobody knows.
static bool reserved(const struct charge *c)
{
    return c->row->kind == ROW_USAGE || c->row->kind == ROW_IDLE;
}

static void reservation(struct focus *f, const struct charge *c)
{
    foreign(f, reserved(c) ? value_of(c, AT_GPU) : STR_NONE);
}

static void reservation_status(struct focus *f, const struct charge *c)
{
    cell(f, !reserved(c) ? STR_NONE : c->row->kind == ROW_USAGE ? STR("Used") : STR("Unused"));
}

static void category(struct focus *f, const struct charge *c)
{
    (void)c;
    cell(f, STR("Usage"));
}

static void class(struct focus *f, const struct charge *c)
{
    cell(f, is_correction(c) ? STR("Correction") : STR_NONE);
}

static bool complete(const struct charge *c)
{
    return c->row->kind != ROW_UNPLACED && sums_priced(&c->row->sums);
}

static void describe_usage(struct focus *f, const struct charge *c)
{
    buf_cstr(&f->text, c->meter == METER_INPUT ? "Input tokens of " : "Output tokens of ");
    buf_str(&f->text, value_of(c, AT_MODEL));
    if (str_present(value_of(c, AT_TENANT))) {
        buf_cstr(&f->text, " for ");
        buf_str(&f->text, value_of(c, AT_TENANT));
    }
    if (c->row->kind == ROW_UNPLACED) {
        buf_cstr(&f->text, ", which name no GPU: their cost is not 0 but unknown");
    } else {
        buf_cstr(&f->text, " on ");
        buf_str(&f->text, value_of(c, AT_GPU));
    }
}

static void description(struct focus *f, const struct charge *c)
{
    buf_cstr(&f->text, is_correction(c) ? "Correction: " : "");
    if (is_usage(c)) {
        describe_usage(f, c);
    } else {
        buf_cstr(&f->text, c->row->kind == ROW_IDLE ? "No request on " : "No telemetry of ");
        buf_str(&f->text, value_of(c, AT_GPU));
    }
    if (c->row->kind != ROW_UNPLACED && !complete(c)) {
        bool some = cost_known(c->row->kind, &c->row->sums);
        buf_cstr(&f->text, some ? "; a part has no price, and is not in the cost"
                                : "; it has no price: its cost is not 0 but unknown");
    }
    foreign(f, buf_view(&f->text));
    buf_clear(&f->text);
}

static void frequency(struct focus *f, const struct charge *c)
{
    (void)c;
    cell(f, STR("Usage-Based"));
}

// Hours with nine decimals.
static void hours(struct focus *f, i128 ns)
{
    decimal(f, digits_round(ns, 3600), NANO);
}

static void consumed(struct focus *f, const struct charge *c)
{
    if (is_usage(c)) {
        decimal(f, c->tokens, 0);
    } else {
        hours(f, c->ns);
    }
}

static void consumed_unit(struct focus *f, const struct charge *c)
{
    cell(f, is_usage(c) ? STR("Tokens") : STR("Hours"));
}

static void priced(struct focus *f, const struct charge *c)
{
    if (is_usage(c)) {
        decimal(f, c->tokens, MTOK_DECIMALS);
    } else {
        hours(f, c->ns);
    }
}

static void priced_unit(struct focus *f, const struct charge *c)
{
    cell(f, is_usage(c) ? STR("1000000 Tokens") : STR("Hours"));
}

static void provider(struct focus *f, const struct charge *c)
{
    (void)c;
    foreign(f, str_of(f->names->provider));
}

static void issuer(struct focus *f, const struct charge *c)
{
    (void)c;
    foreign(f, str_of(f->names->issuer ? f->names->issuer : f->names->provider));
}

static void pricing_category(struct focus *f, const struct charge *c)
{
    (void)c;
    cell(f, STR("Standard"));
}

static void site(struct focus *f, const struct charge *c)
{
    foreign(f, value_of(c, AT_SITE));
}

static void resource(struct focus *f, const struct charge *c)
{
    foreign(f, value_of(c, AT_GPU));
}

static void resource_type(struct focus *f, const struct charge *c)
{
    cell(f, str_present(value_of(c, AT_GPU)) ? STR("GPU") : STR_NONE);
}

static void service_category(struct focus *f, const struct charge *c)
{
    (void)c;
    cell(f, STR("AI and Machine Learning"));
}

static void service_subcategory(struct focus *f, const struct charge *c)
{
    (void)c;
    cell(f, STR("Generative AI"));
}

static void service(struct focus *f, const struct charge *c)
{
    (void)c;
    foreign(f, str_of(f->names->service));
}

static const char *meter_word(const struct charge *c)
{
    if (is_usage(c)) {
        return c->meter == METER_INPUT ? "input" : "output";
    }
    return row_kind_name(c->row->kind);
}

static void sku(struct focus *f, const struct charge *c)
{
    buf_str(&f->text, is_usage(c) ? value_of(c, AT_MODEL) : STR("gpu"));
    buf_printf(&f->text, "/%s", meter_word(c));
    foreign(f, buf_view(&f->text));
    buf_clear(&f->text);
}

static void sku_meter(struct focus *f, const struct charge *c)
{
    if (is_usage(c)) {
        cell(f, c->meter == METER_INPUT ? STR("Input Tokens") : STR("Output Tokens"));
    } else {
        cell(f, c->row->kind == ROW_IDLE ? STR("Idle GPU Time") : STR("Unattributed GPU Time"));
    }
}

static void sku_details(struct focus *f, const struct charge *c)
{
    struct json j = {.b = &f->text};
    json_open(&j, NULL, '{');
    if (is_usage(c)) {
        json_str(&j, "x_ModelId", value_of(c, AT_MODEL));
        json_str(&j, "x_TokenDirection", c->meter == METER_INPUT ? STR("Input") : STR("Output"));
    } else {
        json_int(&j, "GpuCount", 1);
    }
    json_close(&j, '}');
    cell_text(f);
}

static void tenant(struct focus *f, const struct charge *c)
{
    foreign(f, value_of(c, AT_TENANT));
}

static void tenant_type(struct focus *f, const struct charge *c)
{
    cell(f, str_present(value_of(c, AT_TENANT)) ? STR("Tenant") : STR_NONE);
}

static void kind(struct focus *f, const struct charge *c)
{
    cell(f, str_of(row_kind_name(c->row->kind)));
}

static void model(struct focus *f, const struct charge *c)
{
    foreign(f, value_of(c, AT_MODEL));
}

// Counts stand in a row's input charge alone, so that they add up.
static void count(struct focus *f, const struct charge *c, i128 n)
{
    if (c->meter == METER_INPUT) {
        decimal(f, n, 0);
    } else {
        cell(f, STR_NONE);
    }
}

static void requests(struct focus *f, const struct charge *c)
{
    count(f, c, c->row->sums.requests);
}

static void cached(struct focus *f, const struct charge *c)
{
    count(f, c, c->row->sums.cached_prompt_tokens);
}

static void unpriced_requests(struct focus *f, const struct charge *c)
{
    count(f, c, c->row->sums.unpriced_requests);
}

static void unpriced_hours(struct focus *f, const struct charge *c)
{
    if (c->meter == METER_OUTPUT) {
        cell(f, STR_NONE);
    } else {
        hours(f, c->row->sums.unpriced_ns);
    }
}

static void cost_complete(struct focus *f, const struct charge *c)
{
    cell(f, complete(c) ? STR("true") : STR("false"));
}

static void final(struct focus *f, const struct charge *c)
{
    cell(f, c->row->sums.open ? STR("false") : STR("true"));
}

static const struct {
    const char *name;
    void (*put)(struct focus *f, const struct charge *c);
} columns[] = {
    {"AllocatedMethodDetails", allocated_details},
    {"AllocatedMethodId", allocated_method},
    {"AllocatedResourceId", allocated_to},
    {"AllocatedResourceName", allocated_to},
    {"AllocatedTags", allocated_tags},
    {"BilledCost", cost},
    {"BillingAccountId", account_id},
    {"BillingAccountName", account_name},
    {"BillingCurrency", currency},
    {"BillingPeriodEnd", billing_end},
    {"BillingPeriodStart", billing_start},
    {"CapacityReservationId", reservation},
    {"CapacityReservationStatus", reservation_status},
    {"ChargeCategory", category},
    {"ChargeClass", class},
    {"ChargeDescription", description},
    {"ChargeFrequency", frequency},
    {"ChargePeriodEnd", charge_end},
    {"ChargePeriodStart", charge_start},
    {"ConsumedQuantity", consumed},
    {"ConsumedUnit", consumed_unit},
    {"ContractedCost", cost},
    {"EffectiveCost", cost},
    {"HostProviderName", provider},
    {"InvoiceIssuerName", issuer},
    {"ListCost", cost},
    {"PricingCategory", pricing_category},
    {"PricingQuantity", priced},
    {"PricingUnit", priced_unit},
    {"RegionId", site},
    {"RegionName", site},
    {"ResourceId", resource},
    {"ResourceName", resource},
    {"ResourceType", resource_type},
    {"ServiceCategory", service_category},
    {"ServiceName", service},
    {"ServiceProviderName", provider},
    {"ServiceSubcategory", service_subcategory},
    {"SkuId", sku},
    {"SkuMeter", sku_meter},
    {"SkuPriceDetails", sku_details},
    {"SkuPriceId", sku},
    {"SubAccountId", tenant},
    {"SubAccountName", tenant},
    {"SubAccountType", tenant_type},
    {"x_CachedInputTokens", cached},
    {"x_CostComplete", cost_complete},
    {"x_Final", final},
    {"x_Kind", kind},
    {"x_Model", model},
    {"x_Requests", requests},
    {"x_UnpricedHours", unpriced_hours},
    {"x_UnpricedRequests", unpriced_requests},
};

static void write_focus(const struct report *r, const struct report_style *style, struct buf *b)
{
    struct focus f = {.report = r, .names = style->focus, .b = b, .first = true};
    buf_init(&f.text, TEXT_LIMIT);
    for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
        cell(&f, str_of(columns[i].name));
    }
    csv_end(b);
    struct focus_charges charges = {0};
    focus_collect(&charges, r);
    for (size_t i = 0; i < charges.n; i++) {
        f.first = true;
        for (size_t k = 0; k < ARRAY_LEN(columns); k++) {
            columns[k].put(&f, &charges.v[i]);
        }
        csv_end(b);
    }
    free(charges.v);
    buf_done(&f.text);
}

const struct report_format format_focus = {
    .name = "focus",
    .help = "FOCUS 1.4 as CSV, for finance",
    .by = dims,
    .n_by = ARRAY_LEN(dims),
    .write = write_focus,
};
