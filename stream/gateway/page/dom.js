// Elements from text. Nothing here or elsewhere in the page reads a string as HTML.

import { clockTime, direction, exactTime, locale, relativeTime, text } from "./texts.js";

/** el("p", {class: "meta", onclick}, "text", child…); null and false are left out. */
export function el(name, attributes = {}, ...children) {
	const element = document.createElement(name);
	for (const [key, value] of Object.entries(attributes)) {
		if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
		else if (value === true) element.setAttribute(key, "");
		else if (value || value === "") element.setAttribute(key, value);
	}
	element.append(...children.filter(Boolean));
	return element;
}

const own = () => ({ lang: locale, dir: direction() });

/** The page's own words, in its own direction wherever they stand. */
export const label = (words, cls = null) => el("span", { class: cls, ...own() }, words);

/** Children with dots between them. */
export const dotted = (children) => children.filter(Boolean).flatMap((child, place) => (place ? [" · ", child] : [child]));

/** An outlet's words: their language where it is known, their direction from their letters. */
export const quote = (words, language, name = "span") => el(name, { lang: language, dir: "auto" }, words);

/** A time told for people, the exact one in its title; `name` is a text to tell it in. */
export function timeOf(time, name = null) {
	const date = new Date(time);
	const told = name ? text(name, { time: clockTime(date) }) : clockTime(date);
	return el("time", { datetime: date.toISOString(), title: exactTime(date), ...own() }, told);
}

/** How long ago; `refreshTimes` keeps it true. */
export function ago(date) {
	const time = timeOf(date);
	time.dataset.ago = "";
	time.textContent = relativeTime(date);
	return time;
}

export function refreshTimes() {
	for (const time of document.querySelectorAll("time[data-ago]")) {
		const told = relativeTime(new Date(time.dateTime));
		if (time.textContent !== told) time.textContent = told;
	}
}

/** The address if it is one of the web's, else null: a feed can hold any string. */
export function webAddress(address) {
	const url = URL.canParse(address) ? new URL(address) : null;
	return /^https?:$/.test(url?.protocol) ? url.href : null;
}
