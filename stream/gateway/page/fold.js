// Text as the search compares it: the same folding as the model's, models/text.py.

const SAME = { "ٱ": "ا", "ى": "ي", "ة": "ه", "ک": "ك", "ی": "ي", "ے": "ي", "ہ": "ه" };
const DIGIT_ROWS = [0x660, 0x6f0, 0x966]; // Arabic, Persian, Devanagari: the rows of ten that NFKD leaves alone

const digit = (character) => {
	const code = character.codePointAt(0);
	const row = DIGIT_ROWS.find((first) => code >= first && code < first + 10);
	return row === undefined ? character : String(code - row);
};

/** Marks and invisible characters go, letters and digits are unified, the case is lowered, the rest becomes space. */
export const fold = (text) =>
	text
		.normalize("NFKD")
		.replace(/[\p{Mn}\p{Me}\p{Cf}ـ]/gu, "")
		.replace(/[ٱىةکیےہ]/g, (letter) => SAME[letter])
		.replace(/\p{Nd}/gu, digit)
		.toLowerCase()
		.replace(/[^\p{L}\p{N}]+/gu, " ")
		.trim();

/** Whether every word of a folded query is in a folded text. */
export const matches = (folded, query) => query.split(" ").every((word) => folded.includes(word));
