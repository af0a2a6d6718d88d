// What the page knows: the newest revision of each alert, and the stories; never more than LIMIT of each.

import { fold, matches } from "./fold.js";

export const LIMIT = 1000;

/** A card's content. `key` names it, `at` orders the list and never moves forward, `changedAt` is the revision's time. */
function alertItem(record, known) {
	const at = new Date(record.alerted_at);
	const why = record.kind === "retracted" ? record.reasons : [];
	const reasons = why === record.reasons ? [] : record.reasons;
	return { ...common(record), kind: record.kind, why, reasons, at: known && known.at < at ? known.at : at, changedAt: at };
}

function storyItem(record, alert) {
	const kind = record.retracted_at ? "retracted"
		: record.confirmed_at ? "confirmed"
		: record.held_back_at ? "summary"
		: record.alerted_at ? "opened"
		: "story";
	// A story keeps why it was breaking; why it was retracted is told by its alert.
	const why = alert?.why ?? [];
	return { ...common(record), kind, why, story: record, at: new Date(record.opened_at), changedAt: new Date(record.updated_at) };
}

function common(record) {
	const { title, articles, outlets, held_back: heldBack = [] } = record;
	return {
		key: record.alert_id,
		storyId: record.story_id,
		revision: record.revision,
		title,
		language: record.lang,
		topic: record.topic,
		reasons: record.reasons,
		articles,
		article_count: record.article_count,
		outlets,
		heldBack,
		searched: fold([title, ...outlets, ...[...articles, ...heldBack].map((one) => one.title ?? "")].join(" ")),
	};
}

export class Store {
	#alerts = new Map();
	#stories = new Map();

	/** Takes an alert record in, and returns its item; null when it, or a later revision, is known. */
	addAlert(record) {
		const known = this.#alerts.get(record.alert_id);
		if (known && record.revision <= known.revision) {
			known.at = new Date(Math.min(known.at, new Date(record.alerted_at)));
			return null;
		}
		return this.#keep(this.#alerts, alertItem(record, known));
	}

	addStory(record) {
		const known = this.#stories.get(record.alert_id);
		const item = storyItem(record, this.#alerts.get(record.alert_id));
		if (known && known.changedAt >= item.changedAt) return;
		this.#keep(this.#stories, item);
	}

	#keep(items, item) {
		items.delete(item.key);
		items.set(item.key, item);
		if (items.size > LIMIT) items.delete([...items.values()].reduce((a, b) => (a.at <= b.at ? a : b)).key);
		return item;
	}

	items(view) {
		return view === "stories" ? this.#stories : this.#alerts;
	}

	/** The items of a view that fit, newest first. `filter`: {lang, topic, source, kind, q}, "" for any. */
	select(view, filter) {
		const query = fold(filter.q);
		return [...this.items(view).values()]
			.filter((item) => fits(item, filter) && (!query || matches(item.searched, query)))
			.sort((a, b) => b.at - a.at || (a.key < b.key ? 1 : -1));
	}

	/** What there is to choose from, for each filter. */
	choices(view) {
		const found = { lang: new Set(), topic: new Set(), source: new Set(), kind: new Set() };
		for (const item of this.items(view).values()) {
			if (item.language) found.lang.add(item.language);
			if (item.storyId) found.topic.add(item.topic ?? "none");
			for (const outlet of item.outlets) found.source.add(outlet);
			found.kind.add(item.kind);
		}
		return found;
	}
}

function fits(item, { lang, topic, source, kind }) {
	return (!lang || item.language === lang || item.heldBack.some((h) => h.lang === lang))
		&& (!topic || (item.storyId && (item.topic ?? "none") === topic))
		&& (!source || item.outlets.includes(source) || item.heldBack.some((h) => h.source === source))
		&& (!kind || item.kind === kind);
}
