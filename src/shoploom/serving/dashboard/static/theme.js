// Before anything is painted: the theme that was chosen, if one was.
"use strict";
try {
  const theme = localStorage.getItem("shoploom-theme");
  if (theme) document.documentElement.dataset.theme = theme;
} catch {
  // A browser that keeps nothing follows the system.
}
