/** Pages of a PDF as pictures. Loaded only when a PDF is looked at; its scripts, forms and links are not run. */

import * as pdfjs from "pdfjs-dist";
import workerUrl from "pdfjs-dist/build/pdf.worker.min.mjs?url";

pdfjs.GlobalWorkerOptions.workerSrc = workerUrl;

/** Enough for a preview; a poster must not take all memory. */
const WIDTH_PX = 900;

export interface OpenPdf {
  pages: number;
  draw(page: number, canvas: HTMLCanvasElement): Promise<void>;
  close(): void;
}

export async function openPdf(file: File): Promise<OpenPdf> {
  const task = pdfjs.getDocument({
    data: new Uint8Array(await file.arrayBuffer()),
    cMapUrl: "/pdf/cmaps/",
    standardFontDataUrl: "/pdf/standard_fonts/",
    // The content security policy allows no WebAssembly; what needs it is decoded by scripts or left out.
    useWasm: false,
    enableXfa: false,
    stopAtErrors: false,
  });
  const document = await task.promise;
  return {
    pages: document.numPages,
    async draw(number, canvas) {
      const page = await document.getPage(number);
      const natural = page.getViewport({ scale: 1 });
      const viewport = page.getViewport({ scale: WIDTH_PX / natural.width });
      canvas.width = Math.round(viewport.width);
      canvas.height = Math.round(viewport.height);
      await page.render({ canvas, viewport, annotationMode: pdfjs.AnnotationMode.DISABLE }).promise;
    },
    close: () => void task.destroy(),
  };
}
