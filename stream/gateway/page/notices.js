// Sound, desktop notifications and what a screen reader is told: all of it sparing, the first two on request only.

import { quote } from "./dom.js";
import { direction, kindName, text } from "./texts.js";

const GATHER = 2000; // alerts that come together are told together

const kept = (name) => localStorage.getItem(name) === "on";
const keep = (name, on) => localStorage.setItem(name, on ? "on" : "off");

export class Notices {
	sound = kept("ajil.sound");
	desktop = kept("ajil.notify") && globalThis.Notification?.permission === "granted";
	#audio = null;
	#waiting = [];
	#timer = null;
	#told = 0;

	/** `region` is the polite live region, `onOpen(item)` what a click on a notification does. */
	constructor(region, onOpen) {
		this.region = region;
		this.onOpen = onOpen;
		// A browser gives sound only after a gesture, so one that was asked for last time waits for the first.
		for (const gesture of ["pointerdown", "keydown"]) {
			addEventListener(gesture, () => this.sound && this.#wakeAudio(), { once: true });
		}
	}

	toggleSound() {
		this.sound = !this.sound;
		keep("ajil.sound", this.sound);
		if (this.sound) {
			this.#wakeAudio();
			this.#beep();
		}
	}

	async toggleDesktop() {
		this.desktop = !this.desktop && (await globalThis.Notification?.requestPermission()) === "granted";
		keep("ajil.notify", this.desktop);
		if (globalThis.Notification?.permission !== "granted") this.say(text("notifyNo"));
	}

	/** An alert came, live: the first is told at once, those that follow closely together. */
	tell(item) {
		this.#waiting.push(item);
		this.#timer ??= setTimeout(() => this.#tellAll(), Math.max(0, this.#told + GATHER - Date.now()));
	}

	#tellAll() {
		const items = this.#waiting.splice(0);
		const [item] = items;
		this.#timer = null;
		this.#told = Date.now();
		const words = items.length > 1 ? text("fresh", { n: items.length })
			: `${kindName(item.kind)}: ${item.title || text("untitled")}`;
		this.say(words);
		if (!items.some(({ kind }) => kind === "opened" || kind === "confirmed")) return;
		if (this.sound) this.#beep();
		if (this.desktop) this.#notify(words, item);
	}

	#notify(words, item) {
		try {
			const notification = new Notification(words, {
				body: item.outlets.join(", "), dir: direction(item.language), tag: item.key });
			notification.onclick = () => {
				focus();
				this.onOpen(item);
			};
		} catch {
			// Chrome on Android has the permission but not the constructor.
			this.desktop = false;
		}
	}

	/** Says a line to screen readers. */
	say(words) {
		this.region.append(quote(words, null, "p"));
		while (this.region.childElementCount > 2) this.region.firstChild.remove();
	}

	#wakeAudio() {
		this.#audio ??= new AudioContext();
		this.#audio.resume();
	}

	#beep() {
		const audio = this.#audio;
		if (!audio) return;
		[880, 1175].forEach((frequency, place) => {
			const start = audio.currentTime + place * 0.16;
			const tone = audio.createOscillator();
			const loudness = audio.createGain();
			tone.frequency.value = frequency;
			loudness.gain.setValueAtTime(0.15, start);
			loudness.gain.exponentialRampToValueAtTime(0.001, start + 0.15);
			tone.connect(loudness).connect(audio.destination);
			tone.start(start);
			tone.stop(start + 0.16);
		});
	}
}
