/** Files of uploads under way, kept by the browser so that a reload can go on by itself. What it cannot keep is asked for again. */

const DATABASE = "inkwire";
const STORE = "files";
/** A larger file is not copied: it is asked for again. */
const KEPT_BYTES = 512 * 1024 * 1024;

function open(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("no database"));
  });
}

async function within<T>(mode: IDBTransactionMode, act: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  const database = await open();
  try {
    return await new Promise<T>((resolve, reject) => {
      const transaction = database.transaction(STORE, mode);
      const request = act(transaction.objectStore(STORE));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = transaction.onerror = () => reject(transaction.error ?? new Error("not stored"));
    });
  } finally {
    database.close();
  }
}

/** Keeps a file for a job's upload, where it fits. */
export async function keep(job: string, file: File): Promise<void> {
  if (file.size > KEPT_BYTES) return;
  await within("readwrite", (store) => store.put(file, job)).catch(() => undefined);
}

export async function kept(job: string): Promise<File | undefined> {
  const found = await within<unknown>("readonly", (store) => store.get(job)).catch(() => undefined);
  return found instanceof File ? found : undefined;
}

export async function forget(job: string): Promise<void> {
  await within("readwrite", (store) => store.delete(job)).catch(() => undefined);
}
