// The page of one request: why it cost what it did, in one sentence, then the windows it adds up from.
import {get} from './api.js';
import {h, render, table} from './dom.js';
import * as f from './format.js';

function fact(name, value) {
    return value !== null && value !== undefined && h('div', null, h('dt', null, name), h('dd', null, value));
}

function facts(r, tz) {
    return h('dl.facts', null, fact('start', `${f.when(f.ms(r.start), tz, true)} ${f.zoneName(tz)}`),
        fact('model', r.model), fact('tenant', r.tenant), fact('GPU', r.gpus?.join(', ') || 'none named'),
        fact('in tokens', f.count(r.prompt_tokens)), fact('of them cached', r.cached_prompt_tokens > 0
            ? f.count(r.cached_prompt_tokens) : null), fact('out tokens', f.count(r.completion_tokens)),
        fact('took', r.latency_ms === null ? null : `${f.rate(r.latency_ms / 1000)} s`),
        fact('first token after', r.ttft_ms === null || r.ttft_ms === undefined ? null : `${f.rate(r.ttft_ms / 1000)} s`),
        fact('energy', r.energy_j === null || r.energy_j === undefined ? null : `${f.rate(r.energy_j)} J`),
        fact('cost of in', dollars(amount(r, 'cost_in'))), fact('cost of out', dollars(amount(r, 'cost_out'))),
        fact('request id', r.request_id),
        fact('event id', r.event_id));
}

const dollars = (v) => v === null ? null : `$${f.money(v, true)}`;

// Exact from its text; an integer is, too, as long as it is a safe one.
const amount = (o, name) => f.nano(o[`${name}_usd`])
    ?? (Number.isSafeInteger(o[`${name}_nusd`]) ? BigInt(o[`${name}_nusd`]) : null);

function windows(g, tz) {
    const reasons = new f.Reasons(), none = 'no price was known for this GPU then';
    const money = (v) => v === null ? reasons.dash(none) : f.money(v, true);
    const list = g.windows ?? [], parts = list.map((w) => amount(w, 'cost'));
    const total = f.sum(parts), said = amount(g, 'cost');
    const columns = [{label: `window (${f.zoneName(tz)})`}, {label: 'beside', num: true, title: 'other requests'},
        {label: '$ of the GPU', num: true, wide: true}, {label: 'share', num: true, wide: true}, {label: '$', num: true}];
    const rows = list.map((w, i) => {
        const whole = amount(w, 'gpu_cost');
        return {cells: [[f.when(f.ms(w.window_start), tz), !w.final && h('span.mark.provisional', null, 'provisional')],
            f.count(w.beside), money(whole), parts[i] === null || !whole ? f.DASH
                : f.percent(Number(parts[i]) / Number(whole)), money(parts[i])]};
    });
    const foot = [{class: 'bill', cells: ['sum', '', '', '', f.money(total, true)]}];
    return [h('div.scroll', null, table({caption: `Windows on ${g.gpu}`, columns, rows, foot, className: 'windows'})),
        said !== null && h(said === total ? 'p.adds' : 'p.bad', null, said === total
            ? '\u2713 adds up to what it cost on this GPU' : `That is not what it cost here, $${f.money(said, true)}: please report it.`),
        prices(g, tz), reasons.notes()];
}

const span = (from, until) => from === until ? `at ${from}` : `from ${from} to ${until}`;

function prices(g, tz) {
    return g.prices?.length > 0 && h('ul.notes', null, g.prices.map((p) => h('li', null,
        `${g.gpu}: ${p.price_per_hour_usd === null ? 'no price' : `$${f.money(f.nano(p.price_per_hour_usd))}/h`} `
        + `${span(f.when(f.ms(p.from), tz, true), f.when(f.ms(p.until), tz, true))}, `
        + ({sample: 'stated by its samples', book: `entry ${p.entry} of the price book`,
            default: 'the default price'}[p.source] ?? 'no source'))));
}

// A request on several GPUs costs what it cost on each of them.
function together(gpus, cost) {
    const total = f.sum(gpus.map((g) => amount(g, 'cost')));
    return gpus.length > 1 && cost !== null && h(total === cost ? 'p.adds' : 'p.bad', null, total === cost
        ? `\u2713 its ${gpus.length} GPUs add up to what it cost` : `Its GPUs add up to $${f.money(total, true)}: please report it.`);
}

export async function load(box, s, signal) {
    const r = await get(`requests/${encodeURIComponent(s.id)}`, {}, signal);
    const x = r.explanation ?? {}, cost = f.nano(r.cost_usd);
    render(box, h('article.request', null,
        h('h2', null, cost === null ? `${f.DASH} no cost` : `$${f.money(cost, true)}`,
            !r.final && h('span.mark.provisional', null, 'provisional'), r.late && h('span.mark', null, 'late'),
            r.revision > 1 && h('span.mark', null, `settled ${r.revision} times`)),
        h('p.sentence', null, x.sentence ? `This request ${x.sentence}.` : 'There is no explanation of this request.'),
        facts(r, s.tz), (x.gpus ?? []).map((g) => windows(g, s.tz)), together(x.gpus ?? [], cost),
        h('ul.notes', null, x.method && h('li', null, `Split by ${x.method}${x.weight_in
            ? `, in and out tokens ${x.weight_in}:${x.weight_out}` : ''}.`),
        (x.notes ?? []).map((n) => h('li', null, n)))));
}
