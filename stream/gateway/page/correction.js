// The foot of an opened card: "not breaking" and "wrong topic", and what became of them.

import { el } from "./dom.js";
import { direction, locale, text, topicName } from "./texts.js";

export class Correction {
	constructor(desk) {
		this.desk = desk;
		this.said = el("p", { class: "said", role: "status" });
		this.form = el("div");
		this.notBreaking = this.#button("notBreaking", () => this.#askWithdraw());
		this.wrongTopic = this.#button("wrongTopic", () => this.#askTopic());
		this.buttons = el("p", { class: "row" }, this.notBreaking, this.wrongTopic);
		this.root = el("div", { class: "correction", lang: locale, dir: direction() },
			this.buttons, this.form, this.said);
	}

	update(item) {
		this.item = item;
		this.root.hidden = !item.storyId;
		// Only an alert that was raised, and still stands, can be taken back.
		this.notBreaking.hidden = item.kind === "retracted" || item.revision === 0;
		if (item.kind === "retracted" && this.asks === "withdraw") this.#close();
	}

	#button(name, onclick, cls = "button") {
		return el("button", { type: "button", class: cls, onclick }, text(name));
	}

	#field(name, attributes = {}) {
		const input = el("input", { maxlength: "200", dir: "auto", autocomplete: "off", ...attributes });
		return [input, el("label", { class: "field" }, el("span", {}, text(name)), input)];
	}

	#ask(asks, fields, sendName, feedback, done) {
		this.said.textContent = "";
		const [by, byField] = this.#field("by", { autocomplete: "name" });
		by.value = localStorage.getItem("ajil.by") ?? "";
		const send = el("button", { class: "button strong" }, text(sendName));
		const form = el("form", { class: "ask", onsubmit: async (event) => {
			event.preventDefault();
			send.disabled = true;
			const name = by.value.trim();
			localStorage.setItem("ajil.by", name);
			try {
				await this.desk.send({ ...feedback(), by: name || null });
				this.#close();
				this.said.textContent = done();
			} catch (error) {
				send.disabled = false;
				this.said.textContent = text("notSent", { message: error.message });
			}
		} }, ...fields, byField, el("p", { class: "row" }, send, this.#button("cancel", () => this.#close(), "button plain")));
		this.form.replaceChildren(form);
		this.asks = asks;
		this.buttons.hidden = true;
		form.querySelector("select, input").focus();
	}

	#askWithdraw() {
		const [note, noteField] = this.#field("note");
		this.#ask("withdraw", [el("p", {}, text("withdrawAsk")), noteField], "withdraw",
			() => ({ alert_id: this.item.key, withdraw: true, note: note.value.trim() || null }),
			() => text("withdrawSent"));
	}

	#askTopic() {
		const others = this.desk.topics().filter((topic) => topic !== this.item.topic);
		const choice = el("select", { required: true }, ...others.map((topic) => el("option", { value: topic }, topicName(topic))));
		this.#ask("topic", [el("label", { class: "field" }, el("span", {}, text("rightTopic")), choice)], "send",
			() => ({ alert_id: this.item.key, topic: choice.value }),
			() => text("topicSent", { topic: topicName(choice.value) }));
	}

	#close() {
		const focused = this.form.contains(document.activeElement);
		const back = this.asks === "withdraw" && !this.notBreaking.hidden ? this.notBreaking : this.wrongTopic;
		this.form.replaceChildren();
		this.asks = null;
		this.buttons.hidden = false;
		if (focused) back.focus();
	}
}
