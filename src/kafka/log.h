// Internal to kafka/: how a log becomes a client's.
#pragma once

#include "kafka/client.h"

void kafka_log_attach(struct kafka_log *log, rd_kafka_conf_t *conf);
