// What a page must be for those who do not see it, or not well: run in the page, answers a list of
// what is wrong. Contrast is computed as WCAG 2.2 says (1.4.3 and 1.4.11).
const wrong = [];
const say = (node, what) => wrong.push(`${what}: ${node.outerHTML.slice(0, 160)}`);
const seen = (e) => e.checkVisibility({visibilityProperty: true, opacityProperty: false}) && e.getClientRects().length > 0;

const textOf = (id) => document.getElementById(id)?.textContent.trim() ?? '';
function nameOf(e) {
    return (e.getAttribute('aria-labelledby') ?? '').split(' ').map(textOf).join(' ').trim()
        || e.getAttribute('aria-label') || [...e.labels ?? []].map((l) => l.textContent).join(' ').trim()
        || e.textContent.trim() || e.getAttribute('title') || '';
}

for (const e of document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex="0"], [role=img], nav, dialog')) {
    if (seen(e) && !nameOf(e)) {
        say(e, 'it has no name');
    }
}
for (const e of document.querySelectorAll('input')) {
    if (seen(e) && !(e.labels?.length > 0) && !e.getAttribute('aria-label')) {
        say(e, 'it has no label');
    }
}
const ids = new Set();
for (const e of document.querySelectorAll('[id]')) {
    if (ids.has(e.id)) {
        say(e, 'its id is there twice');
    }
    ids.add(e.id);
}
for (const attribute of ['aria-labelledby', 'aria-describedby', 'for']) {
    for (const e of document.querySelectorAll(`[${attribute}]`)) {
        if (e.getAttribute(attribute).split(' ').some((id) => !document.getElementById(id))) {
            say(e, `${attribute} names nothing`);
        }
    }
}
for (const t of document.querySelectorAll('table')) {
    if (!t.caption?.textContent.trim()) {
        say(t, 'a table without a caption');
    }
    for (const th of t.querySelectorAll('th')) {
        if (!['col', 'row'].includes(th.scope)) {
            say(th, 'a header without a scope');
        }
    }
}
for (const [selector, n] of [['main', 1], ['h1', 1], ['header', 1], ['footer', 1], ['[aria-live]', 1], ['nav a[aria-current=page]', 1]]) {
    const found = [...document.querySelectorAll(selector)].filter((e) => !e.closest('.crumbs'));
    if (found.length !== n) {
        wrong.push(`${found.length} of ${selector}, not ${n}`);
    }
}
if (!document.documentElement.lang) {
    wrong.push('no language');
}
let level = 0;
for (const e of document.querySelectorAll('main h1, main h2, main h3')) {
    if (seen(e)) {
        const here = Number(e.tagName[1]);
        if (here > level + 1) {
            say(e, `a heading of level ${here} under one of level ${level}`);
        }
        level = here;
    }
}

// --- contrast

const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
canvas.canvas.width = canvas.canvas.height = 1;
function rgba(colour) {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
}
const over = (top, under) => [0, 1, 2].map((i) => top[i] * top[3] + under[i] * (1 - top[3])).concat(1);
function backOf(e) {
    const layers = [];
    for (let at = e; at; at = at.parentElement) {
        const c = rgba(getComputedStyle(at).backgroundColor);
        if (c[3] > 0) {
            layers.push(c);
        }
        if (c[3] === 1) {
            break;
        }
    }
    return layers.reverse().reduce((under, top) => over(top, under), [255, 255, 255, 1]);
}
const linear = (v) => v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4;
const luminance = (c) => 0.2126 * linear(c[0]) + 0.7152 * linear(c[1]) + 0.0722 * linear(c[2]);
function contrast(a, b) {
    const [x, y] = [luminance(a), luminance(b)].sort((p, q) => q - p);
    return (x + 0.05) / (y + 0.05);
}

let looked = 0;
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
for (let n = walker.nextNode(); n; n = walker.nextNode()) {
    const e = n.parentElement;
    if (!n.textContent.trim() || !seen(e) || e.closest('.sr, option, script, noscript, :disabled')) {
        continue;
    }
    const style = getComputedStyle(e), size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const back = backOf(e), ratio = contrast(over(rgba(style.color), back), back);
    looked += 1;
    if (ratio < (large ? 3 : 4.5)) {
        say(e, `contrast ${ratio.toFixed(2)} of text`);
    }
}
for (const e of document.querySelectorAll('button, input:not([type=radio]), select')) {
    if (seen(e) && e.parentElement) {
        const style = getComputedStyle(e), back = backOf(e.parentElement);
        const ratio = Math.max(contrast(over(rgba(style.borderTopColor), back), back),
            contrast(over(rgba(style.backgroundColor), back), back));
        if (ratio < 3) {
            say(e, `contrast ${ratio.toFixed(2)} of a control's edge`);
        }
    }
}
for (const e of document.querySelectorAll('.swatch')) {
    const own = rgba(getComputedStyle(e).backgroundColor), back = backOf(e.parentElement);
    if (!e.matches('.idle, .lost') && contrast(over(own, back), back) < 3) {
        say(e, `contrast ${contrast(own, back).toFixed(2)} of a colour`);
    }
}
if (document.documentElement.scrollWidth > innerWidth) {
    wrong.push(`the page is ${document.documentElement.scrollWidth} wide, the window ${innerWidth}`);
}
if (looked < 10) {
    wrong.push('there is nothing to look at');
}
return wrong;
