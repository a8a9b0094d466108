// Prices: what is in force and since when, what has none, and a new one, tried out before it counts.
import {get, post} from './api.js';
import {command, h, render, table} from './dom.js';
import * as f from './format.js';
import {loader, problemBox} from './place.js';
import {hrefTo, state} from './router.js';

export const title = 'Prices';

const price = (usd) => `$${f.money(f.nano(usd))}`;

function unpriced(list, tz, fill) {
    return list.length > 0 && h('section.shout', {role: 'alert'},
        h('h2', null, `${f.plural(list.length, 'GPU')} without a price`),
        h('p', null, 'What runs there costs nothing in any table, which is wrong. Add a price:'),
        h('ul', null, list.map((g) => h('li', null, h('button', {type: 'button', 'data-key': `fill-${g.gpu}`,
            on: {click: () => fill(g.name)}}, `${g.gpu} \u00b7 ${g.name ?? 'unknown name'}`),
        g.since && ` since ${f.when(f.ms(g.since), tz)} ${f.zoneName(tz)}`))));
}

function book(answer, tz) {
    if (answer.items.length === 0) {
        return h('p.note', null, 'The price book is empty. Samples may state a price of their own; other GPUs take one '
            + 'from here, added below or by ', h('code', null, "gtap price add 'NVIDIA H100*' 2.95"), '.');
    }
    const reasons = new f.Reasons();
    const columns = [{label: 'GPUs named'}, {label: '$/h', num: true}, {label: `since (${f.zoneName(tz)})`},
        {label: 'site', wide: true}, {label: 'state'}, {label: 'GPUs', num: true, wide: true, title: 'that it prices now'},
        {label: 'source', wide: true}];
    const rows = answer.items.map((p) => ({class: p.in_force ? null : 'quiet', cells: [
        p.name ?? 'all', f.money(f.nano(p.price_per_hour_usd)), p.effective_from ? f.when(f.ms(p.effective_from), tz) : 'always',
        p.site || 'all', p.in_force ? 'in force' : f.ms(p.effective_from) > Date.now() ? 'begins later' : 'replaced',
        f.count(p.gpus), p.source || reasons.dash('no source was given')]}));
    return h('div.tablebox', null, h('div.scroll', null, table({caption: 'The price book', columns, rows})), reasons.notes());
}

const FIELDS = [
    ['name', 'GPUs named', {required: true, placeholder: 'NVIDIA H100*', maxlength: 200}, '* stands for any text'],
    ['price_per_hour_usd', '$ an hour', {required: true, inputmode: 'decimal', placeholder: '2.95',
        pattern: '\\d{1,6}(\\.\\d{1,9})?'}, 'such as 2.95'],
    ['effective_from', 'in force from', {placeholder: '2026-11-01T00:00:00Z'}, 'empty: from now on'],
    ['site', 'site', {maxlength: 200}, 'empty: every site'],
    ['source', 'source', {placeholder: 'contract 4711', maxlength: 200}, 'so that others know where it is from'],
];

function preview(answer) {
    const r = answer.recompute ?? {}, before = moneyOf(r, 'bill_before'), after = moneyOf(r, 'bill_after');
    const exact = (v) => v === null ? f.DASH : `$${f.money(v, true)}`;
    return [h('p', null, r.windows > 0
        ? `Computed again with this price, ${f.plural(r.windows, 'window')} from ${f.when(f.ms(r.from), state().tz)} to `
          + `${f.when(f.ms(r.until), state().tz)} ${f.zoneName(state().tz)} would change: ${f.plural(r.rows_changed ?? 0, 'row')}, `
          + `${f.plural(r.requests_changed ?? 0, 'request')}.${r.partial
              ? ' It was tried on the newest part of the store only: what is older changes likewise.' : ''}`
        : 'Nothing that is stored would change: it holds for what comes.'),
    h('dl.facts', null, h('div', null, h('dt', null, 'bill before'), h('dd', null, exact(before))),
        h('div', null, h('dt', null, 'bill after'), h('dd', null, exact(after))),
        before !== null && after !== null && h('div', null, h('dt', null, 'difference'),
            h('dd', null, `${after >= before ? '+' : ''}${f.money(after - before, true)}`)))];
}

function moneyOf(o, name) {
    return f.nano(o[`${name}_usd`]) ?? (Number.isSafeInteger(o[`${name}_nusd`]) ? BigInt(o[`${name}_nusd`]) : null);
}

function form(done) {
    const inputs = new Map(), outcome = h('div.outcome', {role: 'status'});
    const values = () => Object.fromEntries([...inputs].map(([k, i]) => [k, i.value.trim()]).filter(([, v]) => v !== ''));
    let tried = null;
    const fields = FIELDS.map(([name, label, attrs, hint]) => {
        const input = h('input', {type: 'text', name, id: `price-${name}`, autocomplete: 'off',
            'aria-describedby': `price-${name}-hint`, ...attrs, on: {input: () => {
                input.setCustomValidity('');
                tried = null;
                outcome.replaceChildren();
            }}});
        inputs.set(name, input);
        return h('div.field', null, h('label', {for: `price-${name}`}, label), input,
            h('span.hint', {id: `price-${name}-hint`}, hint));
    });
    const failed = (e, again) => {
        const input = inputs.get(e.parameter);
        input?.focus();
        outcome.replaceChildren(problemBox(e, again));
    };
    async function dry() {
        const asked = values();
        outcome.replaceChildren(h('p', null, 'Trying it out\u2026'));
        try {
            const answer = await post('prices', {...asked, apply: false});
            tried = asked;
            outcome.replaceChildren(h('h3', null, 'What would change'), ...preview(answer).flat(),
                h('p', null, 'Nothing has been written yet.'),
                h('button.primary', {type: 'button', id: 'price-apply', on: {click: apply}}, 'Add this price'));
            outcome.querySelector('#price-apply').focus();
        } catch (e) {
            failed(e, dry);
        }
    }
    async function apply() {
        try {
            const answer = await post('prices', {...tried, apply: true});
            outcome.replaceChildren(h('p.adds', null, '\u2713 The price is in the book.'), (answer.command ?? answer.recompute?.command)
                && h('div', null, h('p', null, 'For what is final already, run this where the store is:'),
                    command(answer.command ?? answer.recompute.command)) || '');
            done();
        } catch (e) {
            failed(e, apply);
        }
    }
    const node = h('form.price', {on: {submit: (e) => {
        e.preventDefault();
        dry();
    }}}, h('h2', {id: 'add'}, 'Add a price'), h('div.fields', null, fields),
    h('button', {type: 'submit'}, 'Show what would change'), outcome);
    return {node, fill(name) {
        inputs.get('name').value = name ?? '';
        inputs.get('price_per_hour_usd').focus();
        node.scrollIntoView({block: 'nearest'});
    }};
}

export function mount(root) {
    const list = h('div');
    const loads = loader(root, async (signal, body) => {
        const answer = await get('prices', {}, signal), tz = state().tz;
        render(list, unpriced(answer.unpriced ?? [], tz, add.fill), book(answer, tz),
            h('p.note', null, answer.default_price_per_hour_usd
                ? `GPUs that nothing else prices take the default of ${price(answer.default_price_per_hour_usd)}/h.`
                : 'There is no default price: a GPU that nothing prices has none.',
            ' What each GPU costs is on ', h('a', {href: hrefTo('now'), 'data-key': 'to-now'}, 'Now'), '.'));
        if (!body.contains(list)) {
            body.replaceChildren(list, add.node);
        }
    });
    const add = form(() => loads.run());
    return {update: loads.run, end: loads.end};
}
