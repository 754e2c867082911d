/** Where the page is, from its address. */

import { parse, type Route } from "./route.ts";

class Place {
  route = $state.raw<Route>(parse(location.hash));

  constructor() {
    addEventListener("hashchange", () => (this.route = parse(location.hash)));
  }
}

export const place = new Place();
