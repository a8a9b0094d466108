// Where one is: all of it is in the address, behind the #, which no server and no log ever sees. A
// link to what is on the screen is the address bar's.

export const PLACES = ['now', 'time', 'who', 'prices', 'health'];
export const RANGES = ['1h', '6h', '24h', '7d', '30d', '90d', 'today', 'yesterday'];
export const DIMS = ['model', 'tenant', 'gpu', 'host', 'site'];
export const FILTERS = ['all', 'unplaced', 'unpriced', 'late', 'open'];
export const STEPS = ['auto', '5m', '15m', '1h', '1d'];

const START = {place: 'now', range: '24h', basis: 'busy', tz: 'UTC', exact: '', by: 'model',
    step: 'auto', filter: 'all', min: '', q: '', id: ''};
const LISTS = ['model', 'tenant', 'gpu', 'host', 'site'];
const STAY = ['range', 'basis', 'tz', 'exact']; // in every place

const RFC3339 = '\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d(?::\\d\\d(?:\\.\\d+)?)?Z';
const FROM_TO = new RegExp(`^(${RFC3339})~(${RFC3339})$`);

function zoneExists(tz) {
    try {
        return Boolean(new Intl.DateTimeFormat('en', {timeZone: tz}));
    } catch {
        return false;
    }
}

// What an address may say; the rest of it is as if it were not there.
const VALID = {
    range: (v) => RANGES.includes(v) || /^[1-9]\d{0,4}[mhd]$/.test(v) || fromTo(v) !== null,
    basis: (v) => ['busy', 'loaded'].includes(v),
    tz: zoneExists,
    exact: (v) => v === '1',
    by: (v) => DIMS.includes(v),
    step: (v) => STEPS.includes(v),
    filter: (v) => FILTERS.includes(v),
    min: (v) => /^\d{1,9}(\.\d{1,9})?$/.test(v),
    q: (v) => v.length <= 200,
    id: (v) => v.length <= 1000,
};

/** [from, to] in ms of "FROM~TO", or null. */
export function fromTo(range) {
    const found = FROM_TO.exec(range);
    const times = found?.slice(1).map((t) => Date.parse(t));
    return times && times[0] < times[1] ? times : null;
}

export function parse(hash) {
    const [path, query = ''] = hash.replace(/^#?\/?/, '').split('?');
    const state = {...START, ...Object.fromEntries(LISTS.map((k) => [k, []]))};
    state.place = PLACES.includes(path) ? path : START.place;
    for (const [name, value] of new URLSearchParams(query)) {
        if (LISTS.includes(name) && value.length <= 500) {
            state[name].push(value);
        } else if (VALID[name]?.(value)) {
            state[name] = value;
        }
    }
    return state;
}

export function format(state) {
    const query = new URLSearchParams();
    for (const name of Object.keys(START).slice(1)) {
        if (state[name] !== START[name]) {
            query.set(name, state[name]);
        }
    }
    for (const name of LISTS) {
        state[name].forEach((v) => query.append(name, v));
    }
    const text = query.toString().replace(/%3A/g, ':').replace(/%2F/g, '/').replace(/%7E/g, '~');
    return `#/${state.place}${text ? `?${text}` : ''}`;
}

let current = parse(location.hash);
const listeners = [];

export const state = () => current;
export const onChange = (listener) => listeners.push(listener);

/** The address of this state with something changed. */
export const href = (patch) => format({...current, ...patch});

/** The address of another place: range, basis and zone stay, the rest begins anew. */
export function hrefTo(place, patch = {}) {
    const stay = Object.fromEntries(STAY.map((k) => [k, current[k]]));
    return format({...parse(''), ...stay, ...patch, place});
}

export function go(patch, replace = false) {
    const hash = href(patch);
    if (hash === location.hash) {
        return;
    }
    if (replace) {
        history.replaceState(null, '', hash);
        arrived();
    } else {
        location.hash = hash;
    }
}

function arrived() {
    const before = current;
    current = parse(location.hash);
    listeners.forEach((f) => f(current, before));
}

addEventListener('hashchange', arrived);

/** The filters of this state, as parameters of the API. */
export const filters = (s) => Object.fromEntries(LISTS.map((k) => [k, s[k]]));
