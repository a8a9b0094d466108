"""What the producer on a GPU node takes."""

import time

import serving
from following import Followed
from harness import Failed, Goal, Subject, count
from pipeline import Rig


def _await_first(rig, topics, running):
    """Until its first sample is in Kafka."""
    deadline = time.monotonic() + 30
    while sum(rig.cluster.offsets(topics.metric)) == 0:
        if running.ended() or time.monotonic() > deadline:
            running.check()
            raise Failed("gtap agent: no sample came within 30 s")
        time.sleep(0.1)


def agent(bench):
    warm_up_s, seconds = bench.scale.agent_s
    subject = Subject(
        "Agent", f"`gtap agent --in seed:` with {serving.GPUS} GPUs sampled once a second, into "
        f"Kafka: processor time by the scheduler's count over {seconds} s, after {warm_up_s} s of "
        "warming up.")
    with Rig(bench) as rig:
        topics = rig.topics("agent.")
        gpus = serving.inventory(rig.path("agent-gpus.json"))
        env = {"KAFKA_BOOTSTRAP": rig.brokers, "TOPIC_METRIC": topics.metric,
               "TOPIC_TOKEN": topics.usage}
        command = [bench.gtap, "agent", "--in", f"seed:{gpus}", "--spool", rig.path("spool")]
        with Followed(command, rig.path("agent.log"), env) as running:
            _await_first(rig, topics, running)
            time.sleep(warm_up_s)
            cpu_s, began = running.threads_cpu_s(), time.monotonic()
            before = sum(rig.cluster.offsets(topics.metric))
            time.sleep(seconds)
            share = (running.threads_cpu_s() - cpu_s) / (time.monotonic() - began)
            sent = sum(rig.cluster.offsets(topics.metric)) - before
            resident = running.memory_kib("VmRSS")
            running.stop()
            running.check()
    if sent < serving.GPUS * (seconds - 1):
        raise Failed(f"gtap agent sent {sent} samples in {seconds} s")
    subject.add("of one core", share, f"{share * 100:.3f} % ({count(sent)} samples sent)",
                Goal("under 0.1 %", at_most=0.001))
    subject.add("memory resident at the end", resident, f"{resident * 1024 / 1e6:.1f} MB",
                Goal("under 15 MB", at_most=15e6 / 1024))
    return subject
