// Before anything is drawn: the scheme that was chosen here, so that nothing flashes.
(function () {
    'use strict';
    let chosen = null;
    try {
        chosen = localStorage.getItem('gtap.theme');
    } catch {
        // a browser that keeps nothing: the system's scheme
    }
    if (chosen === 'light' || chosen === 'dark') {
        document.documentElement.dataset.theme = chosen;
    }
}());
