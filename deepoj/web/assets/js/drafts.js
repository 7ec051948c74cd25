// Drafts of programs in the browser's storage, by account and problem (data-draft) and by language.
import { PREFIX } from "./prefix.js";

// of all accounts and problems together; the oldest go first
const MOST = 50;

export class Drafts {
  // key: of account and problem; without one nothing is kept. former: where the draft is if there is none here
  constructor(key, former) {
    this.key = key;
    this.former = former;
  }

  read(language) {
    try {
      const [found] = [this.key, this.former]
        .filter(Boolean)
        .map((key) => localStorage.getItem(this.place(language, key)))
        .filter(Boolean);
      return found ? JSON.parse(found).text : "";
    } catch {
      return ""; // storage is off, or the entry is not ours
    }
  }

  write(language, text) {
    if (!this.key) return;
    const place = this.place(language);
    try {
      if (text.trim()) localStorage.setItem(place, JSON.stringify({ at: Date.now(), text }));
      else localStorage.removeItem(place);
      this.forgetOldest();
    } catch {
      // storage is off or full: the text is in the editor
    }
  }

  place(language, key = this.key) {
    return `${PREFIX}:${key}:${language}`;
  }

  forgetOldest() {
    const places = Object.keys(localStorage).filter((each) => each.startsWith(`${PREFIX}:`));
    if (places.length <= MOST) return;
    const ages = places.map((place) => [JSON.parse(localStorage.getItem(place)).at, place]);
    for (const [, place] of ages.sort().slice(0, places.length - MOST)) localStorage.removeItem(place);
  }
}
