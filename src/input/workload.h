// What synthetic: asks of the cluster: which models and tenants, how often, how long the texts are.
// Requests come in a Poisson process, some tenants' in bursts; lengths are log-normal around what
// is typical of the model and the tenant.
#pragma once

#include "input/fleet.h"
#include "input/random.h"
#include "input/serve.h"
#include "input/tenants.h"

enum { WORKLOAD_MODELS_MAX = 32, WORKLOAD_NAME_MAX = 64 };

struct workload_model {
    char name[WORKLOAD_NAME_MAX];
    uint32_t weight; // share of the requests
    struct model_class class;
    struct serve_speed speed;
    uint32_t instances;
};

struct workload {
    struct random random;
    struct workload_model models[WORKLOAD_MODELS_MAX];
    uint32_t n_models, models_weight;
    struct tenant_class *tenants;
    uint32_t n_tenants;
    // Means over the tenants' requests: lengths against the models', and requests at once.
    int64_t prompt_permille, completion_permille, burst_permille;
    int64_t rate_micro;     // requests a second, millionths
    int64_t scale_permille; // of all lengths, so that the cluster holds the rate
    int64_t at, next_at;    // the burst that is on, and the next one
    uint32_t left, model, tenant;
};

// Options models=, tenants=, tp=, seed=, and a place on the fleet for every instance: *ret_places
// is the caller's to free, their model is an index into models. -EINVAL with a message.
int workload_init(struct workload *w, const struct uri *uri, const struct fleet *fleet,
                  struct serve_place **ret_places, uint32_t *ret_n_places, struct error *err)
    GTAP_CHECK;
void workload_done(struct workload *w);

// Starts the process at `from`, with rate_micro requests in a million seconds; 0: as many as keep
// the GPUs at work about two thirds of the time.
void workload_start(struct workload *w, int64_t rate_micro, int64_t from);

struct workload_request {
    int64_t arrival, prompt, output;
    uint32_t model, tenant; // indices
};

// The next one, in order of arrival.
void workload_next(struct workload *w, struct workload_request *ret);
