// MathJax sets what pymdownx.arithmatex has marked, and nothing else; its menu would load further files.
window.MathJax = {
  tex: { inlineMath: [["\\(", "\\)"]], displayMath: [["\\[", "\\]"]], processEscapes: true },
  options: { enableMenu: false, ignoreHtmlClass: ".*|", processHtmlClass: "arithmatex" },
  svg: { fontCache: "local" },
};
