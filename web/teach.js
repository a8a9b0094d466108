// Empty states: why there is nothing, and what to do about it.
import {get} from './api.js';
import {command, empty, h} from './dom.js';

export function noGpu() {
    return empty('No GPU has reported yet',
        'On a host with GPUs, this reads them and its inference server, and serves this page:',
        command('gtap run --in gpu: --in vllm+http://localhost:8000/metrics --out sqlite:gtap.db --listen :8080'),
        'Where records go through Kafka, run this there instead:',
        command('gtap agent --bootstrap kafka:9092'),
        'No GPU at hand? This makes a cluster up:',
        command('gtap run --in synthetic: --out sqlite:demo.db --listen :8080'));
}

/** For a range without rows: because there never was anything, or because of the range. */
export async function nothing(signal, wider) {
    const gpus = await get('gpus', {}, signal);
    if (gpus.items.length === 0) {
        return noGpu();
    }
    return empty('Nothing in this range',
        'GPUs have reported, but not within this range, or not what the filters ask for.',
        h('p', null, h('a.button', {href: wider}, 'Look at the last 7 days without filters')));
}
