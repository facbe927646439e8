/// What names and categories are made of.
enum Words {
    /// 48 genres, the most popular first. A dozen contain "rock", "metal" or "folk".
    static let genres = [
        "Rock", "Pop", "Hip-Hop", "Jazz", "Metal", "Country", "Electronic", "Classical", "Folk", "Blues", "Soul", "Reggae",
        "Punk Rock", "Latin", "R&B", "Soundtrack", "Ambient", "House", "Hard Rock", "Techno", "Gospel", "Heavy Metal", "Opera",
        "Rock & Roll", "Funk", "Disco", "Folk Rock", "Bossa Nova", "World", "Singer/Songwriter", "Krautrock", "Children's",
        "Spoken Word", "Death Metal", "Chanson Française", "Música Popular Brasileira", "Rockabilly", "Schlager für alle", "Fado",
        "Ρεμπέτικο", "Λαϊκό", "日本のロック", "演歌", "Comedy", "Christmas", "Polka", "Field Recordings", "Yodel",
    ]

    static let genreVariants = ["", "Classic", "Live", "Indie", "Instrumental"]

    static let adjectives = [
        "Amber", "Ancient", "Autumn", "Bitter", "Blue", "Borrowed", "Brave", "Bright", "Broken", "Burning", "Careless", "Cold",
        "Copper", "Crooked", "Crystal", "Dancing", "Dark", "Distant", "Drifting", "Dusty", "Early", "Electric", "Empty", "Endless",
        "Faded", "Fearless", "First", "Foreign", "Forgotten", "Frozen", "Gentle", "Golden", "Hidden", "Hollow", "Holy", "Hungry",
        "Idle", "Invisible", "Ivory", "Last", "Late", "Lonely", "Lost", "Lucky", "Midnight", "Modern", "Morning", "Northern",
        "Paper", "Patient", "Quiet", "Restless", "Running", "Scarlet", "Secret", "Silent", "Silver", "Simple", "Sleeping", "Slow",
        "Southern", "Stolen", "Sunday", "Tender", "Thirsty", "Velvet", "Wandering", "Western", "Wild", "Winter", "Wooden", "Young",
    ]

    static let nouns = [
        "Airport", "Anchor", "Angel", "Avenue", "Balcony", "Ballroom", "Bell", "Bird", "Boat", "Bridge", "Carnival", "Castle",
        "Ceiling", "Choir", "Circle", "City", "Clock", "Cloud", "Coast", "Compass", "Corner", "Crown", "Dance", "Daughter", "Desert",
        "Diamond", "Door", "Dream", "Echo", "Engine", "Evening", "Factory", "Feather", "Field", "Fire", "Flower", "Forest",
        "Fountain", "Garden", "Ghost", "Guitar", "Harbour", "Heart", "Highway", "Hill", "Horizon", "Hotel", "House", "Island",
        "Journey", "Kingdom", "Ladder", "Lantern", "Letter", "Lighthouse", "Machine", "Map", "Market", "Melody", "Memory", "Mirror",
        "Moon", "Mountain", "Ocean", "Orchard", "Parade", "Picture", "Piano", "Planet", "Promise", "Radio", "Railway", "Rain",
        "River", "Road", "Room", "Rose", "Season", "Shadow", "Sister", "Sky", "Song", "Station", "Stone", "Storm", "Stranger",
        "Street", "Summer", "Telephone", "Theatre", "Thunder", "Tower", "Train", "Tree", "Valley", "Village", "Voice", "Waltz",
        "Window", "Wolf",
    ]

    static let places = [
        "Aberdeen", "Alexandria", "Bilbao", "Bologna", "Boston", "Bremen", "Cairo", "Calais", "Cork", "Dakar", "Dallas", "Delhi",
        "Dover", "Dresden", "Dublin", "Galway", "Genoa", "Ghent", "Granada", "Hanoi", "Havana", "Helsinki", "Jaipur", "Kingston",
        "Leeds", "Leipzig", "Lima", "Lisbon", "Lyon", "Manila", "Marseille", "Memphis", "Montreal", "Nairobi", "Nashville", "Naples",
        "Odessa", "Osaka", "Oslo", "Palermo", "Porto", "Prague", "Quito", "Riga", "Seattle", "Sofia", "Tallinn", "Tangier", "Toledo",
        "Trieste", "Tunis", "Utrecht", "Valencia", "Verona", "Vienna", "Vilnius", "Warsaw", "York", "Zagreb", "Zurich",
    ]

    static let people = [
        "Ada", "Alma", "Bruno", "Carla", "Clara", "Dana", "Edith", "Elena", "Emil", "Felix", "Flora", "Greta", "Hugo", "Ida", "Irene",
        "Ivan", "Jonas", "Julia", "Karim", "Laura", "Leon", "Lola", "Marta", "Max", "Mina", "Nadia", "Nina", "Oscar", "Otto", "Paula",
        "Rosa", "Ruth", "Sam", "Sara", "Stella", "Tomas", "Vera", "Viktor", "Wanda", "Yusuf",
    ]

    static let verbs = [
        "Call", "Carry", "Catch", "Chase", "Cross", "Draw", "Find", "Follow", "Forget", "Hold", "Leave", "Lose", "Meet", "Paint",
        "Remember", "Send", "Sing", "Steal", "Watch", "Wake",
    ]

    static let editions = ["Live", "Remastered", "Demo", "Acoustic", "Radio Edit", "Deluxe Edition", "Extended Mix", "Bonus Track"]

    /// Whole names in which letters have accents; %, where it stands, becomes a noun.
    static let accented = [
        "Café Müller", "Señorita del Río", "Élégie d'été", "Über den Dächern", "Größe Null", "Coração Vazio", "Niño de la Luna",
        "L'Île aux Fleurs", "Dévoilé", "Åska i Fjärran", "Søndag Morgen", "Jóga við Sjóinn", "Čekání na Déšť", "Łódź Nocą",
        "İstanbul'da Akşam", "Déjà Vu %", "Fiancée of the %", "À la % perdue", "El Último %", "Straße zum %",
    ]

    /// Words of two halves of a name.
    static let greek = (
        ["Μικρή", "Μαύρη", "Ήσυχη", "Χαμένη", "Πρώτη", "Άσπρη", "Παλιά", "Χρυσή"],
        ["Θάλασσα", "Νύχτα", "Αγάπη", "Πόλη", "Φωνή", "Βροχή", "Άνοιξη", "Καρδιά"]
    )

    static let japanese = (
        ["夜の", "青い", "静かな", "最後の", "遠い", "春の", "雨の", "さよなら"], ["海", "街", "手紙", "列車", "花火", "ギター", "メロディー", "月"]
    )

    /// Symbols that stand outside the first 65,536 code points, some of several code points.
    static let emoji = ["🎸", "🎷", "🌙", "🔥", "🌊", "💔", "🎹", "👩‍🎤", "🇧🇷", "❤️‍🔥"]
}
