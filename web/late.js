// Once the frame of the page is on the screen: what fills it. Loading and running it meanwhile would
// only delay that first picture. Where nobody looks nothing is drawn, and nothing waited for.
(function () {
    'use strict';
    const go = () => document.head.append(document.getElementById('late').content);
    if (document.hidden) {
        go();
    } else {
        requestAnimationFrame(() => setTimeout(go));
    }
}());
