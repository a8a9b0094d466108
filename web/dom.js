// Building the page: elements without a line of HTML, so that no text of a record is ever markup.

const SVG = 'http://www.w3.org/2000/svg';

function set(node, name, value) {
    if (value === null || value === undefined || value === false) {
        return;
    }
    if (name === 'on') {
        for (const [event, listener] of Object.entries(value)) {
            node.addEventListener(event, listener);
        }
    } else if (name === 'style') { // through the CSSOM: style attributes are against the CSP
        for (const [property, v] of Object.entries(value)) {
            node.style.setProperty(property, v);
        }
    } else if (name === 'value') {
        node.value = value;
    } else {
        node.setAttribute(name, value === true ? '' : String(value));
    }
}

function fill(node, props, children) {
    node.append(...children.flat(3).filter((c) => c !== null && c !== undefined && c !== false));
    for (const [name, value] of Object.entries(props ?? {})) { // after the options of a select
        set(node, name, value);
    }
    return node;
}

/** h('td.num', {title: 'x', on: {click: f}}, 'text', [nodes]): an element with all of it. */
export function h(spec, props, ...children) {
    const [tag, ...classes] = spec.split('.');
    const node = document.createElement(tag);
    if (classes.length > 0) {
        node.className = classes.join(' ');
    }
    return fill(node, props, children);
}

export function svg(tag, props, ...children) {
    return fill(document.createElementNS(SVG, tag), props, children);
}

export const byId = (id) => document.getElementById(id);

/** Puts new children into a node; focus and open details stay where they were, by data-key. */
export function render(node, ...children) {
    const active = node.contains(document.activeElement) ? document.activeElement : null;
    const key = active?.dataset.key;
    const open = [...node.querySelectorAll('details[open][data-key]')].map((d) => d.dataset.key);
    node.replaceChildren(...children.flat(3).filter((c) => c));
    for (const d of node.querySelectorAll('details[data-key]')) {
        d.open ||= open.includes(d.dataset.key);
    }
    if (key) {
        [...node.querySelectorAll('[data-key]')].find((e) => e.dataset.key === key)
            ?.focus({preventScroll: true});
    }
}

let said = 0;

/** Tells those who listen, not more often than every 20 s unless it answers what they did. */
export function announce(text, answer = true) {
    const region = byId('announcer');
    const now = Date.now();
    if (answer || now - said > 20_000) {
        said = now;
        region.textContent = text;
    }
}

/** A table: columns [{label, num, wide, title}], rows and foot [{cells, head, attrs}]. */
export function table({caption, columns, rows, foot = [], className = ''}) {
    const kind = (c) => [c.num ? 'num' : '', c.wide ? 'wide' : ''].filter(Boolean).join(' ') || null;
    const line = (row, header) => h('tr', {class: row.class, ...row.attrs}, row.cells.map((cell, i) =>
        h(i === 0 || header ? 'th' : 'td',
            {class: kind(columns[i]), scope: header ? 'col' : i === 0 ? 'row' : null,
                title: header ? columns[i].title : null}, cell)));
    return h('table', {class: className || null},
        h('caption', null, caption),
        h('thead', null, line({cells: columns.map((c) => c.label)}, true)),
        h('tbody', null, rows.map((r) => line(r, false))),
        foot.length > 0 && h('tfoot', null, foot.map((r) => line(r, false))));
}

/** What stands where there is nothing yet: says why and what to do. */
export function empty(title, ...children) {
    return h('div.empty', null, h('h2', null, title), children.map((c) =>
        typeof c === 'string' ? h('p', null, c) : c));
}

export const command = (text) => h('pre.command', {tabindex: 0, 'aria-label': 'command'}, text);
