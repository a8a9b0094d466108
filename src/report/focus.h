// What a FOCUS export says of whom, beside the costs.
#pragma once

struct focus_names {
    const char *account_id, *account_name; // of the billing account; the name may be NULL
    const char *provider;                  // who provides the service, and hosts it
    const char *issuer;                    // of the invoice; NULL: the provider
    const char *service;
};
